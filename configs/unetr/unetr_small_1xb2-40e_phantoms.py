# UNETR, small, on generated nested ellipsoids (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/phantoms_nested.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=4,
    num_classes=3,
    encoder=dict(image_size=32, embed_dims=96, num_layers=4, num_heads=4, mlp_dims=192, taps=(0, 1, 2)),
    decoder=dict(feature_dims=8),
    inference=dict(size=(32, 32, 32)),
    head=dict(type='mmparts.RegionHead', num_classes=3),
    terms=[dict(type='mmparts.SoftDiceTerm', squared=True), dict(type='mmparts.BinaryCrossEntropyTerm')],
)

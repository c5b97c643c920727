# BiTr-Unet, small, on generated nested ellipsoids as labels (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/bitr_unet.py',
    '../_base_/datasets/phantoms_nested_labels.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    encoder=dict(channels=(8, 16, 24, 32, 64), stem=[dict(type='mmparts.DroppedConv', out_channels=8)]),
    bottleneck=dict(
        coarse=dict(size=2, embed_dims=64, num_layers=2, num_heads=4, mlp_dims=128),
        fine=dict(size=(4, 4, 2), embed_dims=96, num_layers=2, num_heads=4, mlp_dims=192),
    ),
    inference=dict(size=(32, 32, 32)),
)

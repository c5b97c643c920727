# BAT, small, on slices of generated phantoms (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/bat.py',
    '../_base_/datasets/phantoms_slices.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=4,
    data_preprocessor=dict(_delete_=True, type='mmparts.SegmentPreprocessor'),
    encoder=dict(depth=18, base_channels=16, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 2), init_cfg=None),
    bottleneck=dict(embed_dims=32, num_layers=2, num_heads=4, mlp_dims=64, cross_dims=64, num_queries=4),
    decoder=dict(channels=32),
    head=dict(_delete_=True, type='mmparts.RegionHead', regions=_base_.regions, paint=_base_.paint),
    terms=[
        dict(type='mmparts.SoftDiceTerm', squared=True, over_batch=True),
        dict(type='mmparts.KeyPointTerm', stride=8, subsample=1),
    ],
    inference=dict(type='mmparts.SliceInference', size=(32, 32)),
    restore=dict(type='mmparts.RestoreVolume'),
)
auto_scale_lr = dict(base_batch_size=8)

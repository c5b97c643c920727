# TransBTS, small, on the hippocampus.
_base_ = [
    '../_base_/models/trans_bts.py',
    '../_base_/datasets/msd_hippocampus.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=1,
    num_classes=3,
    encoder=dict(base_channels=8, depths=(1, 1, 1, 2)),
    bottleneck=dict(size=(4, 6, 4), embed_dims=96, num_layers=2, num_heads=4, mlp_dims=192),
    decoder=dict(
        stem=[
            dict(type='mmparts.DoubleConv', out_channels=64, bias=True),
            dict(type='mmparts.PlusConv', out_channels=64, bias=True),
        ]
    ),
    inference=dict(size=(32, 48, 32), batch_size=8),
)

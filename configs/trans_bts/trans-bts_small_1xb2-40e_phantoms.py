# TransBTS, small, on generated nested ellipsoids as labels (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/trans_bts.py',
    '../_base_/datasets/phantoms_nested_labels.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    encoder=dict(base_channels=8, depths=(1, 1, 1, 2)),
    bottleneck=dict(size=4, embed_dims=96, num_layers=2, num_heads=4, mlp_dims=192),
    decoder=dict(
        stem=[
            dict(type='mmparts.DoubleConv', out_channels=64, bias=True),
            dict(type='mmparts.PlusConv', out_channels=64, bias=True),
        ]
    ),
    inference=dict(size=(32, 32, 32)),
)

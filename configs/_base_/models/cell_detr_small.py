# Cell-DETR A, small enough for two cores.
_base_ = './cell_detr_a.py'
model = dict(
    embed_dims=64,
    num_queries=20,
    num_classes=6,
    backbone=dict(channels=(32, 48, 64, 96)),
    neck=dict(skip_channels=(8, 16, 32)),
    encoder=dict(num_layers=2, num_heads=4, ffn_channels=128),
    decoder=dict(num_heads=4, ffn_channels=128),
    head=dict(
        branches=dict(masks=dict(num_heads=4, mask_decoder=dict(channels=(64, 32, 16)))),
        terms=[
            dict(type='mmparts.ClassWeightTerm', class_weights=1.5, no_object_weight=0.5),
            dict(type='mmparts.CornerL1Term', weight=0.6),
            dict(type='mmparts.GIoUTerm', weight=0.4),
            dict(type='mmparts.AreaDiceTerm', weight=1.0),
            dict(type='mmparts.PixelFocalTerm', weight=25.6),
        ],
    ),
)

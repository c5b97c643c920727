# Cell-DETR A: grey images, a small backbone, three encoder and two decoder layers, masks of convolutions.
model = dict(
    type='mmparts.QueryDetector',
    embed_dims=128,
    num_queries=12,
    num_classes=2,
    num_levels=1,
    data_preprocessor=dict(type='mmparts.GreyPreprocessor', pad_size_divisor=16),
    backbone=dict(type='mmparts.CellBackbone', in_channels=1, channels=(64, 128, 256, 256)),
    neck=dict(type='mmparts.SkipMapper', in_channels='auto', skip_channels=(16, 32, 64)),
    encoder=dict(
        type='mmparts.CellEncoder',
        num_layers=3,
        num_heads=8,
        ffn_channels=512,
        dropout=0.0,
        act_cfg=dict(type='LeakyReLU'),
        positional_encoding=dict(type='mmparts.LearnedPositions', size=50),
    ),
    queries=dict(type='mmparts.LearnedQueries'),
    decoder=dict(
        type='mmparts.QueryDecoder',
        num_layers=2,
        num_heads=8,
        ffn_channels=512,
        dropout=0.0,
        act_cfg=dict(type='LeakyReLU'),
        cross_attn=dict(type='mmparts.DenseCrossAttention'),
        output_norm=True,
    ),
    head=dict(
        type='mmparts.SetPredictionHead',
        no_object=True,
        last_only=True,
        branches=dict(
            classes=dict(type='mmparts.CellClassBranch'),
            boxes=dict(type='mmparts.CellBoxBranch'),
            masks=dict(
                type='mmparts.CellMaskBranch',
                num_heads=8,
                mask_decoder=dict(
                    type='mmparts.CellMaskDecoder',
                    channels=(128, 64, 32),
                    block=dict(type='mmparts.SkipBlock'),
                    output=dict(type='mmparts.JointOutput'),
                ),
            ),
        ),
        terms=[
            dict(type='mmparts.ClassWeightTerm', class_weights=[0.5, 1.5], no_object_weight=0.5),  # trap, cell
            dict(type='mmparts.CornerL1Term', weight=0.6),
            dict(type='mmparts.GIoUTerm', weight=0.4),
            dict(type='mmparts.AreaDiceTerm', weight=1.0),
            dict(type='mmparts.PixelFocalTerm', weight=25.6),  # the paper's 0.2 on sums over rows of 128 pixels
        ],
        matcher=dict(
            type='mmparts.HungarianMatcher',
            costs=[
                dict(type='mmparts.SoftmaxCost', weight=1.0),
                dict(type='mmparts.BoxL1Cost', weight=1.0),
                dict(type='mmparts.GIoUCost', weight=1.0),
            ],
        ),
        select=dict(type='mmparts.TopKMasks', num=100, no_object=True),
    ),
)

# TransBTS: a 3-D CNN whose coarsest map (4,096 tokens of a patch of 128^3) passes four transformer layers.
model = dict(
    type='mmparts.Segmentor',
    dims=3,
    in_channels=4,
    num_classes=4,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=8),
    encoder=dict(type='mmparts.PreActivatedEncoder', base_channels=16, depths=(1, 2, 2, 4)),
    bottleneck=dict(
        type='mmparts.TokenBottleneck',
        size=16,
        embed_dims=512,
        num_layers=4,
        num_heads=8,
        mlp_dims=4096,
        embed=dict(type='mmparts.NormActConv'),
        qkv_bias=False,
        attn_dropout=0.1,
        branch_dropout=0.1,
        norm_eps=1e-5,
        out_norm=False,
    ),
    decoder=dict(
        type='mmparts.UpDecoder',
        stem=[
            dict(type='mmparts.DoubleConv', out_channels=128, bias=True),
            dict(type='mmparts.PlusConv', out_channels=128, bias=True),
        ],
        level=dict(type='mmparts.PointwiseLevel'),
    ),
    terms=[dict(type='mmparts.SoftDiceTerm', over_batch=True, background=False, smooth_nr=0.0, class_sum=True)],
    inference=dict(type='mmparts.SlidingInference', size=(128, 128, 128)),
)

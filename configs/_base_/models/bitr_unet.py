# BiTr-Unet: convolutions with gates of channels and places, transformers over the two coarsest maps of a patch of
# 128^3.
tokens = dict(
    type='mmparts.TokenBottleneck',
    num_layers=4,
    num_heads=8,
    mlp_dims=4096,
    embed=dict(type='mmparts.NormActConv'),
    qkv_bias=False,
    attn_dropout=0.1,
    branch_dropout=0.1,
    norm_eps=1e-5,
    out_norm=False,
)
model = dict(
    type='mmparts.Segmentor',
    dims=3,
    in_channels=4,
    num_classes=4,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=16),
    encoder=dict(
        type='mmparts.ConvEncoder',
        channels=(16, 32, 64, 128, 256),
        stem=[dict(type='mmparts.DroppedConv', out_channels=16)],
        block=dict(type='mmparts.GatedConv'),
        block_after=dict(type='mmparts.GatedConv', dilation=2),
        after=4,
    ),
    bottleneck=dict(
        type='mmparts.TwoLevelBottleneck',
        coarse=dict(tokens, size=8, embed_dims=256),
        fine=dict(tokens, size=(16, 16, 8), embed_dims=512, joined=2),
    ),
    decoder=dict(type='mmparts.TwoLevelDecoder'),
    terms=[dict(type='mmparts.GeneralisedDiceTerm', over_batch=True, background=False, smooth_nr=0.0)],
    inference=dict(type='mmparts.SlidingInference', size=(128, 128, 128)),
)

# TransBridge, an interpretation: a residual U-Net whose three coarsest levels a transformer bridges.
model = dict(
    type='mmparts.Segmentor',
    in_channels=3,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', mean=127.5, std=127.5, bgr_to_rgb=True, size_divisor=16),
    encoder=dict(type='mmparts.ConvEncoder', channels=(32, 32, 64, 128, 256), block=dict(type='mmparts.ResidualConv')),
    bottleneck=dict(type='mmparts.LevelBridge', levels=3, embed_dims=128, num_layers=3, groups=4),
    decoder=dict(type='mmparts.UpDecoder'),
    head=dict(type='mmparts.RegionHead', regions=dict(ventricle=(1,)), paint=dict(ventricle=1)),
    terms=[dict(type='mmparts.SoftDiceTerm'), dict(type='mmparts.BinaryCrossEntropyTerm')],
)

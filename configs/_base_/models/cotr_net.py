# COTR-Net, an interpretation: a residual encoder with a light transformer a stage, deep supervision at three scales.
leaky = dict(norm=dict(type='IN', affine=True), act=dict(type='LeakyReLU', negative_slope=0.01, inplace=True))
model = dict(
    type='mmparts.Segmentor',
    dims=3,
    in_channels=1,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=(16, 32, 32)),
    encoder=dict(
        type='mmparts.LightTransformerEncoder', channels=(64, 128, 256, 512), stem_stride=(1, 2, 2), embed_dims=256
    ),
    decoder=dict(
        type='mmparts.UpDecoder',
        level=dict(type='mmparts.ConcatLevel', block=dict(type='mmparts.DoubleConv', **leaky)),
        num_outputs=3,
    ),
    head=dict(type='mmparts.RegionHead', num_classes=3),
    terms=[dict(type='mmparts.SoftDiceTerm'), dict(type='mmparts.BinaryCrossEntropyTerm')],
    inference=dict(type='mmparts.SlidingInference', size=(80, 160, 160)),
)

# U-Net of the paper: valid convolutions, no norm; the image around is mirrored, and borders between cells count more.
model = dict(
    type='mmparts.Segmentor',
    in_channels=1,
    num_classes=2,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', mean=127.5, std=127.5),
    encoder=dict(
        type='mmparts.ConvEncoder',
        channels=(64, 128, 256, 512, 1024),
        block=dict(type='mmparts.DoubleConv', norm=None),
        dropout=0.5,
        crops=True,
    ),
    decoder=dict(
        type='mmparts.UpDecoder',
        level=dict(type='mmparts.ConcatLevel', block=dict(type='mmparts.DoubleConv', norm=None)),
        crops=True,
    ),
    terms=[dict(type='mmparts.BorderWeightTerm')],
)

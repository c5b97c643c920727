# SpecTr of 2021 for cubes of 60 bands; half Dice, half cross entropy.
model = dict(
    type='mmparts.Segmentor',
    in_channels=60,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor'),
    encoder=dict(type='mmparts.SpectralEncoder', channels=(64, 128, 256, 512)),
    decoder=dict(type='mmparts.UpDecoder', dims=3, level=dict(type='mmparts.ResizeLevel')),
    head=dict(type='mmparts.SpectralRegionHead', dims=3, regions=dict(foreground=(1,)), paint=dict(foreground=1)),
    terms=[
        dict(type='mmparts.SoftDiceTerm', smooth_nr=1.0, smooth_dr=1.0, weight=0.5),
        dict(type='mmparts.BinaryCrossEntropyTerm', weight=0.5),
    ],
)

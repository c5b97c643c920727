# VT-UNet-B, version 1: windows over a volume on both ways, cross-attention to the encoder; 0.7 Dice, 0.3 cross entropy.
model = dict(
    type='mmparts.Segmentor',
    dims=3,
    in_channels=4,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor'),
    encoder=dict(type='mmparts.VolumeEncoder', embed_dims=96),
    decoder=dict(type='mmparts.FusionDecoder'),
    head=dict(type='mmparts.RegionHead', num_classes=3, bias=False),
    terms=[
        dict(type='mmparts.SoftDiceTerm', squared=True, over_batch=True, smooth_nr=1.0, smooth_dr=1.0, weight=0.7),
        dict(type='mmparts.BinaryCrossEntropyTerm', weight=0.3),
    ],
    inference=dict(type='mmparts.SlidingInference', size=(128, 128, 128), weights='constant'),
)

# UNETR for 14 classes and patches of 96 x 96 x 96: a ViT-B under a convolutional decoder; Dice and cross entropy.
model = dict(
    type='mmparts.Segmentor',
    dims=3,
    in_channels=1,
    num_classes=14,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=16),
    encoder=dict(type='mmparts.TokenEncoder', image_size=96),
    decoder=dict(type='mmparts.UNETRDecoder'),
    terms=[
        dict(type='mmparts.SoftDiceTerm', squared=True, smooth_nr=0.0, smooth_dr=1e-6),
        dict(type='mmparts.CrossEntropyTerm'),
    ],
    inference=dict(type='mmparts.SlidingInference', size=(96, 96, 96)),
)

# Swin-Unet for images of 224 x 224: 0.4 cross entropy, 0.6 Dice.
model = dict(
    type='mmparts.Segmentor',
    in_channels=3,
    num_classes=9,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=32, channels=3),
    encoder=dict(type='mmparts.InputsSwin'),
    decoder=dict(type='mmparts.ExpandDecoder'),
    head=dict(type='mmparts.SoftmaxHead', bias=False),
    terms=[
        dict(type='mmparts.CrossEntropyTerm', weight=0.4),
        dict(type='mmparts.SoftDiceTerm', squared=True, over_batch=True, weight=0.6),
    ],
    inference=dict(type='mmparts.SliceInference', size=(224, 224), back='nearest'),
)

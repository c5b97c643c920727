# TransUNet with R50 and ViT-B/16 for images of 224 x 224; half cross entropy, half Dice.
model = dict(
    type='mmparts.Segmentor',
    in_channels=3,
    num_classes=9,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=16, channels=3),
    encoder=dict(type='mmparts.TransUNetStem'),
    bottleneck=dict(
        type='mmparts.TokenBottleneck', size=14, embed_dims=768, num_layers=12, num_heads=12, mlp_dims=3072
    ),
    decoder=dict(
        type='mmparts.UpDecoder',
        stem=[dict(type='mmparts.DoubleConv', num_convs=1, out_channels=512)],
        channels=(256, 128, 64, 16),
        level=dict(
            type='mmparts.ConcatLevel', up=dict(type='mmparts.InterpolateUp', align_corners=True), skip_first=False
        ),
    ),
    head=dict(type='mmparts.SoftmaxHead', kernel_size=3),
    terms=[
        dict(type='mmparts.CrossEntropyTerm', weight=0.5),
        dict(type='mmparts.SoftDiceTerm', squared=True, over_batch=True, weight=0.5),
    ],
    inference=dict(type='mmparts.SliceInference', size=(224, 224), back='nearest'),
)

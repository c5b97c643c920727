# UPerNet with an FCN branch in training; a config brings the encoder.
model = dict(
    type='mmparts.Segmentor',
    data_preprocessor=dict(
        type='mmparts.SegmentPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=32,
    ),
    decoder=dict(type='mmparts.UPerDecoder', mid_channels=512),
    head=dict(type='mmparts.SoftmaxHead', dropout=0.1),
    auxiliary=dict(fcn=dict(type='mmparts.FCNBranch', index=2, mid_channels=256, weight=0.4)),
    num_classes=150,
)

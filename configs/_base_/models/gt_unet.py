# GT U-Net: a U-Net of group transformers; cross entropy times the Fourier factor.
model = dict(
    type='mmparts.Segmentor',
    in_channels=3,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', mean=127.5, std=127.5, bgr_to_rgb=True, size_divisor=64),
    encoder=dict(
        type='mmparts.ConvEncoder', channels=(64, 128, 256, 512, 1024), block=dict(type='mmparts.GroupTransformer')
    ),
    decoder=dict(
        type='mmparts.UpDecoder',
        level=dict(
            type='mmparts.ConcatLevel',
            up=dict(type='mmparts.NearestUp', bias=True),
            block=dict(type='mmparts.GroupTransformer'),
        ),
    ),
    head=dict(type='mmparts.RegionHead', regions=dict(vessel=(1,)), paint=dict(vessel=1)),
    terms=[dict(type='mmparts.FourierTerm', beta=1.0)],
)

# IBIMHAV-Net, an interpretation: voxels as tokens, windows with an inductive bias of place, convolutions of three
# reaches.
model = dict(
    type='mmparts.Segmentor',
    dims=3,
    in_channels=1,
    num_classes=2,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=8),
    encoder=dict(
        type='mmparts.VoxelEncoder', channels=(32, 64, 128, 256), num_heads=(2, 4, 8, 16), window_size=4, with_cp=True
    ),
    decoder=dict(
        type='mmparts.UpDecoder',
        level=dict(type='mmparts.ConcatLevel', block=dict(type='mmparts.VoxelBlock', num_heads=2, with_cp=True)),
    ),
    terms=[
        dict(type='mmparts.SoftDiceTerm', background=False),
        dict(type='mmparts.CrossEntropyTerm', class_weight=[1.0, 5.0]),
    ],
    inference=dict(type='mmparts.SlidingInference', size=(96, 96, 96)),
)

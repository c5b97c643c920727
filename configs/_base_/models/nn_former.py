# nnFormer for brain tumours, the last state of its code: patches of 4^3, no deep supervision; Dice and cross entropy.
model = dict(
    type='mmparts.Segmentor',
    dims=3,
    in_channels=4,
    num_classes=4,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor'),
    encoder=dict(type='mmparts.VolumeFormerEncoder', embed_dims=96),
    decoder=dict(type='mmparts.SkipAttentionDecoder'),
    head=dict(type='mmparts.PatchHead', patch_size=4),
    terms=[
        dict(type='mmparts.SoftDiceTerm', over_batch=True, background=False, from_zero=True),
        dict(type='mmparts.CrossEntropyTerm'),
    ],
    inference=dict(type='mmparts.SlidingInference', size=(128, 128, 128)),
)

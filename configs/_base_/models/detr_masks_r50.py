# DETR with masks: what a query of the last decoder layer looks at, read by convolutions beside the backbone's levels.
_base_ = './detr_r50.py'
model = dict(
    backbone=dict(out_indices=(0, 1, 2, 3)),
    neck=dict(_delete_=True, type='mmparts.SkipMapper', in_channels='auto', skip_channels=(32, 64, 128)),
    encoder=dict(type='mmparts.CellEncoder'),
    head=dict(
        branches=dict(
            masks=dict(
                type='mmparts.AttentionMaskBranch',
                num_heads=8,
                mask_decoder=dict(type='mmparts.PyramidMaskDecoder', channels=(128, 64, 32, 16)),
            )
        ),
        terms=[
            dict(type='mmparts.SoftmaxTerm', weight=1.0, no_object_weight=0.1),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.MaskFocalTerm', weight=1.0),
            dict(type='mmparts.MaskDiceTerm', weight=1.0),
        ],
        select=dict(type='mmparts.TopKMasks', num=100, no_object=True),
    ),
)

# Mask DINO with a ResNet-50: DINO's decoder reads classes, boxes and masks; masks choose and match the queries too.
_base_ = './deformable_detr_r50.py'
model = dict(
    type='mmparts.MaskDINO',
    backbone=dict(out_indices=(0, 1, 2, 3), frozen_stages=-1),
    neck=dict(_delete_=True, type='mmparts.PixelMapper', in_channels='auto', norm_cfg=dict(type='GN', num_groups=32)),
    encoder=dict(_delete_=True, type='mmparts.DeformablePixelDecoder', num_layers=6, num_heads=8, ffn_channels=2048),
    queries=dict(type='mmparts.MaskQueries'),
    groups=[
        dict(type='mmparts.Denoising', num=100, label_noise=0.2, box_noise=0.4, contrastive=False, spare_row=False)
    ],
    decoder=dict(
        type='mmparts.InitialPredictionDecoder',
        num_layers=9,
        ffn_channels=2048,
        dropout=0.0,
        reference_update=dict(type='mmparts.LookForwardTwice'),
        position=dict(type='mmparts.BoxPosition'),
    ),
    head=dict(
        type='mmparts.NormedHead',
        branches=dict(masks=dict(type='mmparts.MaskBranch', num_points=12544)),
        size_bias=0.0,
        terms=[
            dict(type='mmparts.FocalTerm', weight=4.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.PointTerm', weight=5.0),
            dict(type='mmparts.PointDiceTerm', weight=5.0),
        ],
        matcher=dict(
            type='mmparts.MaskMatcher',
            cross_entropy=5.0,
            dice=5.0,
            costs=[
                dict(type='mmparts.FocalCost', weight=4.0),
                dict(type='mmparts.BoxL1Cost', weight=5.0),
                dict(type='mmparts.GIoUCost', weight=2.0),
            ],
        ),
        select=dict(type='mmparts.TopKMasks', num=100),
    ),
)

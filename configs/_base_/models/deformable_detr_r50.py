# Deformable DETR with a ResNet-50, four levels at strides 8 to 64.
model = dict(
    type='mmparts.QueryDetector',
    embed_dims=256,
    num_queries=300,
    num_classes=80,
    num_levels=4,
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=1),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    neck=dict(
        type='ChannelMapper',
        in_channels='auto',
        kernel_size=1,
        norm_cfg=dict(type='GN', num_groups=32),
        act_cfg=None,
        bias=True),
    encoder=dict(type='mmparts.DeformableEncoder', num_layers=6, num_heads=8, ffn_channels=1024, dropout=0.1),
    queries=dict(type='mmparts.PointQueries'),
    decoder=dict(
        type='mmparts.QueryDecoder',
        num_layers=6,
        num_heads=8,
        ffn_channels=1024,
        dropout=0.1,
        cross_attn=dict(type='mmparts.DeformableCrossAttention')),
    head=dict(
        type='mmparts.SetPredictionHead',
        size_bias=-2.0,
        terms=[
            dict(type='mmparts.FocalTerm', weight=2.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0)
        ],
        matcher=dict(
            type='mmparts.HungarianMatcher',
            costs=[
                dict(type='mmparts.FocalCost', weight=2.0),
                dict(type='mmparts.BoxL1Cost', weight=5.0),
                dict(type='mmparts.GIoUCost', weight=2.0)
            ]),
        select=dict(type='mmparts.TopKSelection', num=100)))

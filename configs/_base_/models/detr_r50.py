# DETR with a ResNet-50, one level at stride 32.
model = dict(
    type='mmparts.QueryDetector',
    embed_dims=256,
    num_queries=100,
    num_classes=80,
    num_levels=1,
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=1,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(3,),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(
        type='ChannelMapper',
        in_channels='auto',
        kernel_size=1,
        norm_cfg=None,
        act_cfg=None,
        bias=True,
        # As torch starts a convolution; ChannelMapper's own start is twice as wide, and no norm follows that undoes it.
        init_cfg=dict(
            type='Kaiming', layer='Conv2d', a=5**0.5, mode='fan_in', nonlinearity='leaky_relu', distribution='uniform'
        ),
    ),
    encoder=dict(type='mmparts.DenseEncoder', num_layers=6, num_heads=8, ffn_channels=2048, dropout=0.1),
    queries=dict(type='mmparts.LearnedQueries'),
    decoder=dict(
        type='mmparts.QueryDecoder',
        num_layers=6,
        num_heads=8,
        ffn_channels=2048,
        dropout=0.1,
        cross_attn=dict(type='mmparts.DenseCrossAttention'),
        output_norm=True,
    ),
    head=dict(
        type='mmparts.SetPredictionHead',
        no_object=True,
        size_bias=None,
        terms=[
            dict(type='mmparts.SoftmaxTerm', weight=1.0, no_object_weight=0.1),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
        ],
        matcher=dict(
            type='mmparts.HungarianMatcher',
            costs=[
                dict(type='mmparts.SoftmaxCost', weight=1.0),
                dict(type='mmparts.BoxL1Cost', weight=5.0),
                dict(type='mmparts.GIoUCost', weight=2.0),
            ],
        ),
        select=dict(type='mmparts.BestClassSelection'),
    ),
)

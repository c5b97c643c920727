# mmdet's Hybrid Task Cascade on Swin-L (ImageNet-22k), soft NMS, 36 epochs: HTC++ without InstaBoost, which needs a
# package of its own, and without the branch for semantic maps, for which COCO has no files of its own.
_base_ = 'mmdet::htc/htc-without-semantic_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.Swin',
        arch='large',
        drop_path=0.2,
        with_cp=True,
        init_cfg=dict(
            type='mmparts.OfficialWeights', checkpoint='data/pretrained/swin_large_patch4_window7_224_22k.pth'
        ),
    ),
    neck=dict(in_channels=[192, 384, 768, 1536]),
    test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms'))),
)
train_dataloader = dict(batch_size=1)
train_cfg = dict(max_epochs=36)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(spare_norms=True, no_decay=('relative_position_bias_table',)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=36, milestones=[27, 33], gamma=0.1),
]

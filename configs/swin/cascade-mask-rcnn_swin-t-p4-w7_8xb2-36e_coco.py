# mmdet's Cascade Mask R-CNN on Swin-T, multi-scale, 36 epochs. COCO val box AP: 50.4 (paper).
_base_ = [
    '../_base_/models/cascade_mask_rcnn.py',
    '../_base_/datasets/coco_instance_sizes.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.Swin',
        arch='tiny',
        drop_path=0.2,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/swin_tiny_patch4_window7_224.pth'),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
train_cfg = dict(max_epochs=36)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys={'relative_position_bias_table': dict(decay_mult=0.0), 'norm': dict(decay_mult=0.0)}
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=36, milestones=[27, 33], gamma=0.1),
]

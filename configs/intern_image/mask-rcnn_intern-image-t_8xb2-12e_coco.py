# mmdet's Mask R-CNN on InternImage-T, 12 epochs. COCO val box AP: 47.2 (paper).
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_12e.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.InternImage',
        arch='tiny',
        layer_scale=1.0,
        drop_path=0.2,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/internimage_t_1k_224.pth'),
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
# mmdet's 1x: images of one size, 500 steps up, drops after 8 and 11 epochs.
resize = dict(type='Resize', scale=(1333, 800), keep_ratio=True)
train_pipeline = [_base_.read_image, _base_.load_masks, resize, _base_.flip, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='mmparts.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]

# mmdet's Cascade Mask R-CNN on InternImage-L (ImageNet-22k), multi-scale, 36 epochs. COCO val box AP: 56.1 (paper).
_base_ = [
    '../_base_/models/cascade_mask_rcnn.py',
    '../_base_/datasets/coco_instance_sizes.py',
    '../_base_/schedules/schedule_swin_36e.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.InternImage',
        arch='large',
        layer_scale=1.0,
        drop_path=0.4,
        with_cp=True,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/internimage_l_22k_192to384.pth'),
    ),
    neck=dict(in_channels=[160, 320, 640, 1280]),
)
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='mmparts.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.90),
)

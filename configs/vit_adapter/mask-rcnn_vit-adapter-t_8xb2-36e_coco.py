# mmdet's Mask R-CNN on ViT-Adapter-T (DeiT), multi-scale, 36 epochs. COCO val box AP: 46.0 (paper).
_base_ = [
    '../_base_/models/mask_rcnn_vit_adapter.py',
    '../_base_/datasets/coco_instance_multiscale.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    backbone=dict(
        vit=dict(
            init_cfg=dict(
                type='mmparts.OfficialWeights', checkpoint='data/pretrained/deit_tiny_patch16_224-a1311bcf.pth'
            )
        )
    )
)
train_cfg = dict(max_epochs=36)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys={'level_embed': dict(decay_mult=0.0), 'norm': dict(decay_mult=0.0)}, bias_decay_mult=0.0
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=36, milestones=[27, 33], gamma=0.1),
]

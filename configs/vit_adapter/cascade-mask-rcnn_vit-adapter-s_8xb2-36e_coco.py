# mmdet's Cascade Mask R-CNN on ViT-Adapter-S (DeiT), multi-scale, 36 epochs.
_base_ = [
    '../_base_/models/cascade_mask_rcnn.py',
    '../_base_/models/backbones_dense.py',
    '../_base_/datasets/coco_instance_multiscale.py',
    '../_base_/schedules/schedule_swin_36e.py',
    '../_base_/detection_runtime.py',
]
model = dict(backbone=dict(**_base_.vit_adapter_s), neck=dict(in_channels=[384] * 4))
optim_wrapper = dict(paramwise_cfg=dict(no_decay=('level_embed', 'position', 'norm', 'bias')))

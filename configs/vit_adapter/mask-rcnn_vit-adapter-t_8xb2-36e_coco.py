# mmdet's Mask R-CNN on ViT-Adapter-T (DeiT), multi-scale, 36 epochs. COCO val box AP: 46.0 (paper).
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/models/backbones_dense.py',
    '../_base_/datasets/coco_instance_multiscale.py',
    '../_base_/schedules/schedule_swin_36e.py',
    '../_base_/detection_runtime.py',
]
model = dict(backbone=dict(**_base_.vit_adapter_t), neck=dict(in_channels=[192] * 4))
optim_wrapper = dict(paramwise_cfg=dict(no_decay=('level_embed', 'position', 'norm', 'bias')))

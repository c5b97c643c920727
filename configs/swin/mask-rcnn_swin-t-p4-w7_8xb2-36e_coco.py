# mmdet's Mask R-CNN on Swin-T, multi-scale, 36 epochs. COCO val box AP: 46.0 (paper).
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/models/backbones_dense.py',
    '../_base_/datasets/coco_instance_sizes.py',
    '../_base_/schedules/schedule_swin_36e.py',
    '../_base_/detection_runtime.py',
]
model = dict(backbone=dict(**_base_.swin_t), neck=dict(in_channels=[96, 192, 384, 768]))
optim_wrapper = dict(paramwise_cfg=dict(spare_norms=True, no_decay=('relative_position_bias_table',)))

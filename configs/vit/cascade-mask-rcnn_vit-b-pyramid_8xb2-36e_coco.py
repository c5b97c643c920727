# mmdet's Cascade Mask R-CNN on a plain ViT-B with windows and the simple pyramid of ViTDet, multi-scale, 36 epochs.
_base_ = [
    '../_base_/models/cascade_mask_rcnn.py',
    '../_base_/models/backbones_dense.py',
    '../_base_/datasets/coco_instance_sizes.py',
    '../_base_/schedules/schedule_swin_36e.py',
    '../_base_/detection_runtime.py',
]
model = dict(backbone=dict(**_base_.vit_b_pyramid), neck=dict(in_channels=[256] * 4))

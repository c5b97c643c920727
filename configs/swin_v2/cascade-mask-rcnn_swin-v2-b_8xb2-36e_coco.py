# mmdet's Cascade Mask R-CNN on Swin v2-B (ImageNet-22k, window 12 to 16), multi-scale, 36 epochs.
_base_ = [
    '../_base_/models/cascade_mask_rcnn.py',
    '../_base_/models/backbones_dense.py',
    '../_base_/datasets/coco_instance_sizes.py',
    '../_base_/schedules/schedule_swin_36e.py',
    '../_base_/detection_runtime.py',
]
model = dict(backbone=dict(**_base_.swin_v2_b, drop_path=0.3), neck=dict(in_channels=[128, 256, 512, 1024]))

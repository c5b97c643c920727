# Deformable DETR, ResNet-50, one scale, 50 epochs. COCO val box AP: 39.4 (paper).
_base_ = [
    '../_base_/models/deformable_detr_singlescale_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_deformable_50e.py',
    '../_base_/detection_runtime.py',
]

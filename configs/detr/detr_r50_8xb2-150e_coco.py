# DETR, ResNet-50, 150 epochs. COCO val box AP: 39.5 (paper).
_base_ = [
    '../_base_/models/detr_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_150e.py',
    '../_base_/detection_runtime.py',
]

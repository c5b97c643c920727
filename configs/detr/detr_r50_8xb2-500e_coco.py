# DETR, ResNet-50, 500 epochs. COCO val box AP: 42.0 (paper).
_base_ = [
    '../_base_/models/detr_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_500e.py',
    '../_base_/detection_runtime.py',
]

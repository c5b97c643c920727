# DINO, ResNet-50, 4 scales, 12 epochs. COCO val box AP: 49.0 (paper).
_base_ = [
    '../_base_/models/dino_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_12e.py',
    '../_base_/detection_runtime.py',
]

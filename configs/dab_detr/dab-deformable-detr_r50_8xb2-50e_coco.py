# DAB-Deformable-DETR, ResNet-50, 4 scales, 50 epochs. COCO val box AP: 48.7 (paper).
_base_ = [
    '../_base_/models/dab_deformable_detr_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/detection_runtime.py',
]

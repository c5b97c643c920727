# Deformable DETR, ResNet-50, 4 scales, iterative box refinement, 50 epochs. COCO val box AP: 46.2 (paper).
_base_ = [
    '../_base_/models/deformable_detr_refine_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_deformable_50e.py',
    '../_base_/detection_runtime.py',
]

# Mask DINO, ResNet-50, 4 levels, 50 epochs. COCO val mask AP: 46.3, box AP: 51.7 (paper).
_base_ = [
    '../_base_/models/mask_dino_r50.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_mask_50e.py',
    '../_base_/detection_runtime.py',
]

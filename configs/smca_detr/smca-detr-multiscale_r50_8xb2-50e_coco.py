# SMCA-DETR of three levels, ResNet-50, 50 epochs. COCO val box AP: 43.7 (paper).
_base_ = [
    '../_base_/models/smca_detr_multiscale_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/detection_runtime.py',
]

# DETReg, fine-tuning of Deformable DETR on COCO, 50 epochs. COCO val box AP: 45.5 (paper).
_base_ = [
    '../_base_/models/deformable_detr_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_deformable_50e.py',
    '../_base_/fine_tune.py',
    '../_base_/detection_runtime.py',
]
load_from = 'work_dirs/detreg-pretrain-deformable_r50_8xb24-5e_imagenet/epoch_5.pth'
default_hooks = dict(fine_tune={{_base_.fine_tune}})

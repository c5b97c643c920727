# UP-DETR, pre-training on ImageNet without labels; the frozen backbone is to be SwAV's (init_cfg of the backbone).
_base_ = [
    '../_base_/models/up_detr_pretrain_r50.py',
    '../_base_/datasets/unlabelled_patches.py',
    '../_base_/schedules/schedule_pretrain_60e.py',
    '../_base_/detection_runtime.py',
]

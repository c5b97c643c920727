# DETReg, pre-training of a pre-norm DETR on ImageNet without labels; the backbone is to be SwAV's (its init_cfg).
_base_ = [
    '../_base_/models/detreg_pretrain_detr_r50.py',
    '../_base_/datasets/unlabelled_proposals.py',
    '../_base_/schedules/schedule_pretrain_60e.py',
    '../_base_/detection_runtime.py',
]
param_scheduler = []  # the learning rate stays, as in the pre-training of Deformable DETR
auto_scale_lr = dict(base_batch_size=192)

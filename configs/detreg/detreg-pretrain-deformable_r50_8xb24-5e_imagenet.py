# DETReg, pre-training of Deformable DETR on ImageNet without labels; the backbone is to be SwAV's (its init_cfg).
_base_ = [
    '../_base_/models/detreg_pretrain_deformable_r50.py',
    '../_base_/datasets/unlabelled_proposals.py',
    '../_base_/schedules/schedule_pretrain_60e.py',
    '../_base_/detection_runtime.py',
]
train_cfg = dict(max_epochs=5)
param_scheduler = []
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys={'sampling_offsets': dict(lr_mult=0.1), 'queries.point': dict(lr_mult=0.1)}),
)
auto_scale_lr = dict(base_batch_size=192)

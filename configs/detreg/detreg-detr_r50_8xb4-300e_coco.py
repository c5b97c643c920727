# DETReg, fine-tuning of its pre-norm DETR on COCO, 300 epochs: the defaults of the official code.
_base_ = [
    '../_base_/models/detreg_detr_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_150e.py',
    '../_base_/fine_tune.py',
    '../_base_/detection_runtime.py',
]
load_from = 'work_dirs/detreg-pretrain-detr_r50_8xb24-60e_imagenet/epoch_60.pth'
default_hooks = dict(fine_tune={{_base_.fine_tune}})
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_epochs=300)
param_scheduler = [dict(type='MultiStepLR', milestones=[200], gamma=0.1)]
auto_scale_lr = dict(base_batch_size=32)

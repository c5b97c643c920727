# UP-DETR, fine-tuning on COCO, 150 epochs. COCO val box AP: 40.5 (paper).
_base_ = [
    '../_base_/models/up_detr_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_150e.py',
    '../_base_/fine_tune.py',
    '../_base_/detection_runtime.py',
]
load_from = 'work_dirs/up-detr-pretrain_r50_8xb32-60e_imagenet/epoch_60.pth'
default_hooks = dict(fine_tune={{_base_.fine_tune}})
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.5)}))

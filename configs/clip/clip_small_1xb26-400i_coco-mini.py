# A small CLIP learns 26 images and their captions by heart; its test is on them, its validation on 8 others.
_base_ = [
    '../_base_/models/clip_small.py',
    '../_base_/datasets/coco_mini_captions.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=400, val_interval=400)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min_ratio=1e-3, begin=20, end=400, T_max=380),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=400, save_best=None))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(base_batch_size=26)

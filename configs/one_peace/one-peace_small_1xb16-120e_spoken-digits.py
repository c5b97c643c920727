# A small ONE-PEACE on spoken digits, their names and images of them: which digit's image belongs to what was said.
_base_ = [
    '../_base_/models/one_peace_small.py',
    '../_base_/datasets/spoken_digits.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=120, val_interval=30)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-2, begin=0, end=120, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=30, save_best='image_R@1'))
auto_scale_lr = dict(base_batch_size=16)

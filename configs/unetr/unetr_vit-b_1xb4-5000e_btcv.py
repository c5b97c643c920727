# UNETR on thirteen organs of BTCV; Dice 85.6 on the test server (paper), about 79 in public reruns of one fold.
_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/schedule_warmup_cosine_300e.py',
    '../_base_/segmentation_runtime.py',
]
train_cfg = dict(max_epochs=5000, val_interval=100)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=50, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=50, end=5000, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=4)

# A small CLIP on generated images with captions; ten names of colour and kind are unseen.
_base_ = [
    '../_base_/models/clip_small.py',
    '../_base_/datasets/shapes_captions.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=2, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-3, begin=0, end=2, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=1, save_best=None), memory=dict(type='mmparts.ChannelsLastHook'))
auto_scale_lr = dict(base_batch_size=64)

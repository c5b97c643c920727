# BLIP pre-trained from scratch on generated images: its captions name objects, colours and counts.
_base_ = [
    '../_base_/models/blip_small.py',
    '../_base_/datasets/shapes_first_captions.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=12, val_interval=3)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-2, begin=0, end=12, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=3, save_best='objects'), memory=dict(type='mmparts.ChannelsLastHook'))
auto_scale_lr = dict(base_batch_size=32)

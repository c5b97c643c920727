# A small CLIP on generated images with captions; ten names of colour and kind are unseen.
# Four images in ten are grey, so that what a kind looks like is learned without the colour it came with.
_base_ = [
    '../_base_/models/clip_small.py',
    '../_base_/datasets/shapes_captions.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/multimodal_runtime.py',
]
grey = dict(type='RandomGrayscale', prob=0.4, keep_channels=True, channel_weights=(0.114, 0.587, 0.299))  # BGR
train_pipeline = [*_base_.train_pipeline[:-1], grey, _base_.train_pipeline[-1]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=4, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-3, begin=0, end=4, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=1, save_best=None), memory=dict(type='mmparts.ChannelsLastHook'))
auto_scale_lr = dict(base_batch_size=64)

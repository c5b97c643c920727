# Small classifiers from scratch on a few hundred images: AdamW, warm-up, cosine.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=40, val_interval=5)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min_ratio=1e-3, begin=20, end=320, T_max=300),
]
auto_scale_lr = dict(enable=False, base_batch_size=32)

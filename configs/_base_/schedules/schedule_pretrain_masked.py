# Small pre-training by masks on the generated set: AdamW, warm-up, cosine; nothing is validated.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20)
val_cfg = None
test_cfg = None
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min_ratio=1e-3, begin=50, end=500, T_max=450),
]
auto_scale_lr = dict(enable=False, base_batch_size=32)

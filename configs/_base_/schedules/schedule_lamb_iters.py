# Perceiver IO's on text: LAMB, 1.25e-3 for 512 texts a step, up over 1,000 steps, then a cosine to 0 at 500,000.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=500000, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmparts.LayerDecayConstructor',
    optimizer=dict(type='mmparts.Lamb', lr=1.25e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=1000),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=0, end=500000, T_max=500000),
]
auto_scale_lr = dict(enable=False, base_batch_size=512)

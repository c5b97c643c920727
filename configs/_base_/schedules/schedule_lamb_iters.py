# LAMB by iterations; a config says how many, and the rate. Constant, from half on a cosine to 0.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=500000, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmparts.LayerDecayConstructor',
    optimizer=dict(type='mmparts.Lamb', lr=1.25e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=250000, end=500000, T_max=250000)]
auto_scale_lr = dict(enable=False, base_batch_size=512)

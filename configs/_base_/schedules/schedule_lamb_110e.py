# Perceiver IO's on ImageNet: LAMB, 2e-3 for 1024 images a step (5e-4 for each 256); constant, from half on a cosine.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=110, val_interval=5)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmparts.LayerDecayConstructor',
    optimizer=dict(type='mmparts.Lamb', lr=2e-3, weight_decay=0.1),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=55, end=110, T_max=55, convert_to_iter_based=True)
]
auto_scale_lr = dict(enable=False, base_batch_size=1024)

# The Perceiver's on ImageNet: LAMB, 4e-3 for 1024 images a step, a tenth from epochs 84, 102 and 114 on.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=120, val_interval=5)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmparts.LayerDecayConstructor',
    optimizer=dict(type='mmparts.Lamb', lr=4e-3, weight_decay=0.1),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [dict(type='MultiStepLR', milestones=[84, 102, 114], gamma=0.1, by_epoch=True)]
auto_scale_lr = dict(enable=False, base_batch_size=1024)

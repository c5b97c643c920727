# nnU-Net's: SGD with Nesterov momentum, poly decay, 1000 epochs of 250 steps; gradients are cut at 12.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1000, val_interval=50)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.99, nesterov=True, weight_decay=3e-5, fused=True),
    clip_grad=dict(max_norm=12.0, norm_type=2),
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]

auto_scale_lr = dict(enable=False, base_batch_size=2)

# A small Perceiver on generated point clouds of five bodies.
_base_ = './perceiver_points_8xb64-50k_points.py'
model = dict(
    backbone=dict(
        inputs=dict(position=dict(num_bands=16, max_resolution=(32, 32, 32))),
        encoder=dict(num_latents=32, embed_dims=128, num_layers=2, num_heads=4),
    ),
    num_classes=5,
)
classes = dict(classes=('sphere', 'cube', 'cylinder', 'cone', 'torus'))
train_dataloader = dict(
    batch_size=16, sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True), dataset=dict(metainfo=classes)
)
val_dataloader = dict(dataset=dict(metainfo=classes))
test_dataloader = val_dataloader
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=20, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
param_scheduler = [dict(type='MultiStepLR', milestones=[14, 17, 19], gamma=0.1, by_epoch=True)]
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1))
log_processor = dict(by_epoch=True)
auto_scale_lr = dict(base_batch_size=16)

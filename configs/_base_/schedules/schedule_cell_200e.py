# Cell-DETR's schedule: AdamW, 200 epochs, learning rate / 10 after 50 and 100, backbone at a tenth of it.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200, val_interval=10)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-6),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1, decay_mult=1.0)}),
)

param_scheduler = [dict(type='MultiStepLR', milestones=[50, 100], gamma=0.1)]

auto_scale_lr = dict(enable=False, base_batch_size=10)

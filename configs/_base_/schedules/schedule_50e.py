# The DETR family's schedule: AdamW, 50 epochs, learning rate / 10 after 40, backbone at a tenth of it.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=1)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1, decay_mult=1.0)}),
)

param_scheduler = [dict(type='MultiStepLR', milestones=[40], gamma=0.1)]

# 8 GPUs x 2 images. `tools/train.py --auto-scale-lr` scales the learning rate when the real batch differs.
auto_scale_lr = dict(enable=False, base_batch_size=16)

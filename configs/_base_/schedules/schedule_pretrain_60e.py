# UP-DETR's pre-training: 60 epochs, learning rate / 10 after 40, no validation. The backbone is frozen.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=60)

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
)

param_scheduler = [dict(type='MultiStepLR', milestones=[40], gamma=0.1)]

# 8 GPUs x 32 images.
auto_scale_lr = dict(enable=False, base_batch_size=256)

# From scratch on the generated set: AdamW at one rate for all parts, warm-up, cosine.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=9, val_interval=3)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', convert_to_iter_based=True, eta_min_ratio=0.01),
]

auto_scale_lr = dict(enable=False, base_batch_size=8)

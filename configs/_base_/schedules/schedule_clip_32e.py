# CLIP's: 32 epochs of 32,768 pairs a step, Adam with decay 0.2 that leaves out gains, biases and the scale, 2000 steps
# of warm-up, cosine to 0. Numbers of the ViTs; the ResNets have betas (0.9, 0.999) and eps 1e-8.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=32, val_interval=1)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys={'scale.log_scale': dict(decay_mult=0.0)}),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=2000),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=32, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=32768)

# ONE-PEACE: 200,000 steps of AdamW, decay 0.05 not of biases and norms, 3,000 steps up, a cosine to 1e-6, clipping
# at 3. The second stage says its own length and rate.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=200000, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.05),
    constructor='mmparts.LayerDecayConstructor',
    clip_grad=dict(max_norm=3.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=3000),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.002, by_epoch=False, begin=3000, end=200000, T_max=197000),
]
auto_scale_lr = dict(enable=False, base_batch_size=32768)

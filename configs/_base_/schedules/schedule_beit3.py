# BEiT-3's fine-tuning: AdamW with layer-wise decay, warm-up, a cosine from 2e-4 to 1e-6; epochs and rates: see tasks.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=15, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    constructor='mmparts.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay=0.65, no_decay=('positions.image',)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=3, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.005, by_epoch=True, begin=3, end=15, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=256)

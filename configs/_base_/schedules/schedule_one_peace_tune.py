# ONE-PEACE's fine-tuning: AdamW with layer-wise decay, no clipping, a tenth of warm-up and a cosine, both from and to
# 1e-6; rates and epochs are those of COCO, see tasks.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=15, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=8e-5, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    constructor='mmparts.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay=0.9, no_decay=('positions',)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.0125, by_epoch=True, begin=0, end=1.5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.0125, by_epoch=True, begin=1.5, end=15, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)

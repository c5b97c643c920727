# MONAI's research codes: AdamW, 50 epochs of warm-up, cosine to epoch 300 (UNETR: 5000).
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300, val_interval=50)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-5, fused=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=50, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.0, by_epoch=True, begin=50, end=300, convert_to_iter_based=True),
]

auto_scale_lr = dict(enable=False, base_batch_size=1)

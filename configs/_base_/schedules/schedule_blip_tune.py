# BLIP's fine-tuning: AdamW with decay 0.05, a cosine to 0 an epoch at a time; epochs and rates belong to the task.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=5, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16', optimizer=dict(type='AdamW', lr=1e-5, weight_decay=0.05))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=5)]
auto_scale_lr = dict(enable=False, base_batch_size=256)

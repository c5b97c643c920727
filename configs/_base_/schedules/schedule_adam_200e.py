# Adam with a cosine over 200 epochs.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200, val_interval=10)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, fused=True))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min_ratio=0.0, by_epoch=True, convert_to_iter_based=True)]

auto_scale_lr = dict(enable=False, base_batch_size=8)

# TransBTS, light: one transformer layer with a narrower MLP.
_base_ = [
    '../_base_/models/trans_bts.py',
    '../_base_/datasets/brats2021_labels.py',
    '../_base_/schedules/schedule_adam_200e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(bottleneck=dict(num_layers=1, mlp_dims=2048))
train_cfg = dict(max_epochs=1000, val_interval=50)
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=2e-4, weight_decay=1e-5, amsgrad=True))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]

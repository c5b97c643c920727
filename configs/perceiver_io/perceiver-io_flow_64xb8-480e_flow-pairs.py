# Perceiver IO for optical flow. End-point error on Sintel clean 1.81, final 2.42, KITTI 4.98 (paper), from AutoFlow.
_base_ = [
    '../_base_/models/perceiver_io_flow.py',
    '../_base_/datasets/flow_pairs.py',
    '../_base_/schedules/schedule_lamb_110e.py',
    '../_base_/classification_runtime.py',
]
train_pipeline = [{{_base_.load}}, dict(type='mmparts.FlowCrop', size=(368, 496)), {{_base_.pack}}]
train_dataloader = dict(batch_size=8, num_workers=8, dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=480, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=4e-4, weight_decay=0.01))
param_scheduler = [
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=480, T_max=480, convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(save_best='epe', rule='less'))
auto_scale_lr = dict(base_batch_size=512)

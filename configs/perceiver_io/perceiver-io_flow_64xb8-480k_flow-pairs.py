# Perceiver IO for optical flow. End-point error on Sintel clean 1.81, final 2.42, KITTI 4.98 (paper), from AutoFlow.
_base_ = [
    '../_base_/models/perceiver_io_flow.py',
    '../_base_/datasets/flow_pairs.py',
    '../_base_/schedules/schedule_lamb_iters.py',
    '../_base_/classification_runtime.py',
]
train_pipeline = [
    dict(type='mmparts.LoadFlowPair'),
    dict(type='mmparts.FlowCrop', size=(368, 496)),
    dict(type='mmparts.PackFlow'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
train_cfg = dict(max_iters=480000)
optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=240000, end=480000, T_max=240000)]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=10000, save_best='epe', rule='less'))
log_processor = dict(by_epoch=False)

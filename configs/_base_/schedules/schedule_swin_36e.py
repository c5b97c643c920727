# 36 epochs ("3x") of Swin's two-stage tables: AdamW, no decay of norms, one rate for all parts; drops after 27 and 33.
_base_ = './schedule_50e.py'
train_cfg = dict(max_epochs=36)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(spare_norms=True),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=36, milestones=[27, 33], gamma=0.1),
]

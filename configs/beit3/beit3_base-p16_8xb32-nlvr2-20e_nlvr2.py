# BEiT-3 base that says whether a sentence is true of two images. NLVR2 test-P 84.4 (paper).
_base_ = [
    '../_base_/models/beit3_nlvr2.py',
    '../_base_/datasets/nlvr2.py',
    '../_base_/schedules/schedule_beit3.py',
    '../_base_/multimodal_runtime.py',
]
crop = dict(type='mmparts.RandomAreaCrop', size=224, area=(0.5, 1.0), interpolation='bicubic')
resize = dict(type='mmcv.Resize', scale=(224, 224), interpolation='bicubic', backend='pillow')
train_pipeline = [
    dict(type='mmparts.OnBothImages', transforms=[{{_base_.load}}, crop, {{_base_.flip}}]),
    {{_base_.pack}},
]
test_pipeline = [dict(type='mmparts.OnBothImages', transforms=[{{_base_.load}}, resize]), {{_base_.pack}}]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=20)
optim_wrapper = dict(optimizer=dict(lr=7e-4, weight_decay=0.2))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.00143, by_epoch=True, begin=5, end=20, convert_to_iter_based=True),
]

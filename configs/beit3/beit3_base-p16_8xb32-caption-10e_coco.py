# BEiT-3 base that writes captions of COCO at 480 pixels. CIDEr 133.6 (paper).
_base_ = [
    '../_base_/models/beit3_caption.py',
    '../_base_/datasets/coco_captions.py',
    '../_base_/schedules/schedule_beit3.py',
    '../_base_/multimodal_runtime.py',
]
train_pipeline = [
    {{_base_.load}},
    dict(type='mmparts.RandomAreaCrop', size=480, area=(0.5, 1.0), interpolation='bicubic'),
    {{_base_.flip}},
    dict(type='mmparts.RandomChanges', level=7, deviation=0.0, recolour=False, fill=(128, 128, 128)),
    {{_base_.pack}},
]
test_pipeline = [
    {{_base_.load}},
    dict(type='mmcv.Resize', scale=(480, 480), interpolation='bicubic', backend='pillow'),
    dict(type='mmparts.PackMultimodal'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmparts.CaptionScores')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(lr=4e-5), paramwise_cfg=dict(layer_decay=1.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.025, by_epoch=True, begin=1, end=10, convert_to_iter_based=True),
]

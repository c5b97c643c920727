# BEiT-3 base that says whether a sentence is true of two images. NLVR2 test-P 84.4 (paper).
_base_ = [
    '../_base_/models/beit3_nlvr2.py',
    '../_base_/datasets/nlvr2.py',
    '../_base_/schedules/schedule_beit3.py',
    '../_base_/multimodal_runtime.py',
]
pipeline = [
    dict(
        type='mmparts.OnBothImages',
        transforms=[
            {{_base_.load}},
            dict(type='mmcv.Resize', scale=(224, 224), interpolation='bicubic', backend='pillow'),
        ],
    ),
    dict(type='mmparts.PackImagePair', texts='first'),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=20)
optim_wrapper = dict(optimizer=dict(lr=7e-4, weight_decay=0.2))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, begin=5, end=20, convert_to_iter_based=True),
]

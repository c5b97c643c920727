# ONE-PEACE that says whether a sentence is true of two images of 256 pixels, from the pre-training (load_from). NLVR2
# dev 87.8, test-P 88.3 (paper).
_base_ = [
    '../_base_/models/one_peace_nlvr2.py',
    '../_base_/datasets/nlvr2.py',
    '../_base_/schedules/schedule_one_peace_tune.py',
    '../_base_/multimodal_runtime.py',
]
resize = dict(type='mmcv.Resize', scale=(256, 256), interpolation='bicubic', backend='pillow')
jitter = dict(type='mmparts.ColorJitter', strength=0.4, prob=0.5)
blur = dict(type='mmparts.RandomImageBlur', prob=0.5, radius=(0.1, 2.0))
changes = dict(type='mmparts.RandomChanges', level=7, deviation=0.0, recolour=False, fill=(128, 128, 128))
train_pipeline = [
    dict(type='mmparts.OnBothImages', transforms=[{{_base_.load}}, resize, jitter, blur, {{_base_.flip}}, changes]),
    {{_base_.pack}},
]
test_pipeline = [dict(type='mmparts.OnBothImages', transforms=[{{_base_.load}}, resize]), {{_base_.pack}}]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=25)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=2.5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=True, begin=2.5, end=25, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=64)

# ViT-B/16, fine-tuned at 384 pixels from ImageNet-21k. Top-1 84.5 (paper).
_base_ = [
    '../_base_/models/classifier.py',
    '../_base_/datasets/imagenet_classification.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.half}},
    backbone=dict(type='mmparts.ViT', arch='base', image_size=384, gelu='tanh', out='class'),
    head=dict(init_std=0.0),
    num_classes=1000,
)

train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=384, area=(0.05, 1.0), interpolation='bilinear'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.PackImage'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(384, 384)),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(
    batch_size=64,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(fraction=(0.0, 0.99), pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000)
val_cfg = dict(type='mmparts.ValidationLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.03, momentum=0.9), clip_grad=dict(max_norm=1.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=500),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min=0.0, begin=500, end=20000, T_max=19500),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=2000))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(enable=False, base_batch_size=512)

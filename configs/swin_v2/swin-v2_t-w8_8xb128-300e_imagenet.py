# Swin v2-T, window 8, ImageNet-1k at 256 pixels. Top-1 81.8 (paper).
_base_ = '../swin/swin_t-p4-w7_8xb128-300e_imagenet.py'
model = dict(backbone=dict(type='mmparts.SwinV2', window_size=8))

train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=256, interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.RandomChanges', num=2, level=9, deviation=0.5),
    dict(type='mmparts.RandomBoxNoise', prob=0.25),
    dict(type='mmparts.PackImage'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(100000, 293), keep_ratio=True, interpolation='bicubic', backend='pillow'),
    dict(type='mmcv.CenterCrop', crop_size=256),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(paramwise_cfg=dict(no_decay=('cpb_mlp', 'logit_scale')))

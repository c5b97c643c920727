# CLIP ViT-L/14@336: one more epoch of ViT-L/14 at 336 pixels, from its checkpoint, whose positions are resized.
# Zero-shot ImageNet 76.6 (paper).
_base_ = './clip_vit-l-p14_256xb128-32e_wit400m.py'
model = dict(towers=dict(image=dict(backbone=dict(image_size=336))))

train_pipeline = [
    dict(type='mmparts.LoadTarImage'),
    dict(type='mmparts.RandomAreaCrop', size=336, area=(0.9, 1.0), interpolation='bicubic'),
    dict(type='mmparts.PackMultimodal', texts='first'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(100000, 336), keep_ratio=True, interpolation='bicubic', backend='pillow'),
    dict(type='mmcv.CenterCrop', crop_size=336),
    dict(type='mmparts.PackMultimodal'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1)
optim_wrapper = dict(optimizer=dict(lr=2e-5))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=2000),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
]

# ONE-PEACE's vision branch fine-tuned on ImageNet-1k at 512 pixels, from an intermediate fine-tuning on ImageNet-21k at
# 256 pixels (load_from). Top-1 89.8 (paper).
_base_ = [
    '../_base_/models/one_peace_vision.py',
    '../_base_/datasets/imagenet_classification.py',
    '../_base_/schedules/schedule_one_peace_tune.py',
    '../_base_/multimodal_runtime.py',
]
model = dict(towers=dict(image=dict(image_size=512)), objectives=dict(classes=dict(label_smoothing=0.3)))
pack = dict(type='mmparts.PackMultimodal')
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=512, interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.RandomChanges', num=2, level=9, deviation=0.5, fill=(123, 117, 104)),
    pack,
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(100000, 512), keep_ratio=True, interpolation='bicubic', backend='pillow'),
    dict(type='mmcv.CenterCrop', crop_size=512),
    pack,
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=16, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=5e-5))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=3, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0, by_epoch=True, begin=3, end=15, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=1024)

# BEiT-3 base, its image part fine-tuned on ImageNet-1k at 224 pixels. Top-1 85.4 (paper).
_base_ = [
    '../_base_/models/beit3_imagenet.py',
    '../_base_/datasets/imagenet_classification.py',
    '../_base_/schedules/schedule_beit3.py',
    '../_base_/multimodal_runtime.py',
]
model = dict(data_preprocessor=dict(mixing=dict(type='mmparts.Mixing', mixup=0.8, cutmix=1.0), num_classes=1000))
pack = dict(type='mmparts.PackMultimodal')
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(100000, 224), keep_ratio=True, interpolation='bicubic', backend='pillow'),
    dict(type='mmcv.CenterCrop', crop_size=224),
    pack,
]
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-1], pack]))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=50)
optim_wrapper = dict(optimizer=dict(lr=7e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=1 / 700, by_epoch=True, begin=5, end=50, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=1024)

# Masked patch prediction with ViT-B/16 on ImageNet; the paper's data set, JFT, is not public.
_base_ = ['../_base_/datasets/imagenet_images.py', '../_base_/classification_runtime.py']
model = dict(
    type='mmparts.MaskedPretrainer',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], bgr_to_rgb=True
    ),
    backbone=dict(type='mmparts.ViT', arch='base', gelu='tanh'),
    objective=dict(type='mmparts.PatchColours'),
)
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=224, area=(0.05, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(
    batch_size=512,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=100000)
val_cfg = None
test_cfg = None
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, by_epoch=False, begin=0, end=10000),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min=0.0, begin=10000, end=100000, T_max=90000),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=10000, save_best=None))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(enable=False, base_batch_size=4096)

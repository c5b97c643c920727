# Mask DINO, small, from scratch on nuclei (Data Science Bowl 2018). What it reached: README.md, Real data.
_base_ = [
    '../_base_/models/mask_dino_small.py', '../_base_/datasets/dsb2018_instance.py',
    '../_base_/schedules/schedule_small.py', '../_base_/default_runtime.py'
]
model = dict(
    num_classes=1,
    num_queries=100,
    backbone=dict(zero_init_residual=True),
    groups=[
        dict(type='mmparts.Denoising', num=50, label_noise=0.0, box_noise=0.4, contrastive=False, spare_row=False)
    ],
    head=dict(num_points=512))
optim_wrapper = dict(clip_grad=dict(max_norm=0.5))

scale = (512, 512)
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='RandomResize', scale=scale, ratio_range=(0.7, 1.3), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(160, 160), recompute_bbox=True, allow_negative_crop=True),
    dict(type='PackDetInputs')
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

max_epochs = 40
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', begin=0, end=max_epochs, by_epoch=True, convert_to_iter_based=True, eta_min=1e-5)
]

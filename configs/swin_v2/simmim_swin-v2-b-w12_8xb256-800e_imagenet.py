# SimMIM with Swin v2-B, window 12, at 192 pixels, 800 epochs.
_base_ = ['../_base_/datasets/imagenet_images.py', '../_base_/classification_runtime.py']
model = dict(
    type='mmparts.MaskedPretrainer',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(type='mmparts.SwinV2', arch='base', window_size=12, out_indices=(3,), drop_path=0.1),
    objective=dict(type='mmparts.SimMIM', norm_window=47),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=800)
val_cfg = None
test_cfg = None
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmparts.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=4e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(no_decay=('cpb_mlp', 'logit_scale')),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=5e-3, by_epoch=True, end=10, convert_to_iter_based=True),
    dict(type='MultiStepLR', by_epoch=True, milestones=[700], gamma=0.1),
]
default_hooks = dict(checkpoint=dict(interval=50, save_best=None))
auto_scale_lr = dict(enable=False, base_batch_size=2048)

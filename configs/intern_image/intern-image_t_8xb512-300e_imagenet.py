# InternImage-T, ImageNet-1k at 224 pixels. Top-1 83.5 (paper).
_base_ = '../swin/swin_t-p4-w7_8xb128-300e_imagenet.py'
model = dict(
    backbone=dict(_delete_=True, type='mmparts.InternImage', arch='tiny', out_indices=(3,), drop_path=0.1),
    head=dict(_delete_=True, type='mmparts.ConvClassHead'),
)
train_dataloader = dict(batch_size=512)
optim_wrapper = dict(optimizer=dict(lr=4e-3), paramwise_cfg=dict(_delete_=True))
custom_hooks = [dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=1e-4)]
auto_scale_lr = dict(base_batch_size=4096)

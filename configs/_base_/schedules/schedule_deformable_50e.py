# Deformable DETR's schedule: rate 2e-4 for 32 images, a tenth of it where references and sampling points come from.
_base_ = './schedule_50e.py'
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys={'sampling_offsets': dict(lr_mult=0.1), 'queries.point': dict(lr_mult=0.1)}),
)

# 16 GPUs x 2 images.
auto_scale_lr = dict(base_batch_size=32)

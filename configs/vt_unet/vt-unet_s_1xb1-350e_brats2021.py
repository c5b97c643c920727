# VT-UNet-S on BraTS 2021; mean Dice 87.00 (paper), on its own split.
_base_ = [
    '../_base_/models/vt_unet.py',
    '../_base_/datasets/brats2021_vtunet.py',
    '../_base_/schedules/schedule_adam_200e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(encoder=dict(embed_dims=72))
train_cfg = dict(max_epochs=350, val_interval=50)
auto_scale_lr = dict(base_batch_size=1)

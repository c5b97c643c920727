# UPerNet on a small InternImage, from scratch on nuclei as one class.
_base_ = [
    '../_base_/models/upernet_small.py',
    '../_base_/models/backbones_small.py',
    '../_base_/datasets/dsb2018_semantic.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(encoder=_base_.intern_image, num_classes=2)
train_cfg = dict(max_epochs=30, val_interval=5)
default_hooks = dict(checkpoint=dict(save_best='image/Dice'))
auto_scale_lr = dict(base_batch_size=4)

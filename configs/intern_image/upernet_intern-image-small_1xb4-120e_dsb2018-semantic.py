# UPerNet on a small InternImage, from scratch on crops of nuclei as one class; every image is normalised by itself.
_base_ = [
    '../_base_/models/upernet_small.py',
    '../_base_/models/backbones_small.py',
    '../_base_/datasets/dsb2018_semantic.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(data_preprocessor=dict(mean='image', std=None), encoder=_base_.intern_image, num_classes=2)
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline))
train_cfg = dict(max_epochs=120, val_interval=10)
default_hooks = dict(checkpoint=dict(save_best='image/Dice'))
auto_scale_lr = dict(base_batch_size=4)

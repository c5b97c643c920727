# U-Net with padded convolutions, small, on crops of nuclei; every image is normalised by itself.
_base_ = [
    '../_base_/models/u_net_same.py',
    '../_base_/datasets/dsb2018_semantic.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=3, data_preprocessor=dict(mean='image', std=None), encoder=dict(channels=(16, 32, 64, 128, 256))
)
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline))
default_hooks = dict(checkpoint=dict(save_best='image/Dice'))
auto_scale_lr = dict(base_batch_size=4)

# GT U-Net on patches of 64 x 64 of DRIVE, the public set that its code trains on.
_base_ = [
    '../_base_/models/gt_unet.py',
    '../_base_/datasets/drive.py',
    '../_base_/schedules/schedule_adam_200e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(inference=dict(type='mmparts.SlidingInference', size=(64, 64), overlap=0.75, batch_size=16))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
auto_scale_lr = dict(base_batch_size=64)

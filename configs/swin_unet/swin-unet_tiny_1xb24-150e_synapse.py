# Swin-Unet on slices of Synapse; Dice 79.13, HD95 21.55 voxels (paper); the rate is that of its train.sh.
_base_ = [
    '../_base_/models/swin_unet.py',
    '../_base_/datasets/synapse.py',
    '../_base_/schedules/schedule_poly_150e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(restore=dict(type='mmparts.RestoreVolume'))
optim_wrapper = dict(optimizer=dict(lr=0.05))

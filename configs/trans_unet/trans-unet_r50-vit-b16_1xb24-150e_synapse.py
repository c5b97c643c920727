# TransUNet on slices of Synapse; Dice 77.48, HD95 31.69 voxels (paper).
_base_ = [
    '../_base_/models/trans_unet.py',
    '../_base_/datasets/synapse.py',
    '../_base_/schedules/schedule_poly_150e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(restore=dict(type='mmparts.RestoreVolume'))

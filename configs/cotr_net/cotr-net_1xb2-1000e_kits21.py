# COTR-Net, our interpretation, on KiTS21; mean Dice 61.6, tumour 50.52 (paper), challenge test set.
_base_ = [
    '../_base_/models/cotr_net.py',
    '../_base_/datasets/kits21.py',
    '../_base_/schedules/schedule_nnunet_1000e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(supervision=dict(type='mmparts.DeepSupervision', weights=(4 / 7, 2 / 7, 1 / 7)))

# IBIMHAV-Net, our interpretation, on vessels of the liver; Dice 74.8, sensitivity 77.5 (paper).
_base_ = [
    '../_base_/models/ibimhav_net.py',
    '../_base_/datasets/ircadb.py',
    '../_base_/schedules/schedule_nnunet_1000e.py',
    '../_base_/segmentation_runtime.py',
]
train_dataloader = dict(batch_size=1)
auto_scale_lr = dict(base_batch_size=1)

# BiTr-Unet on BraTS 2021; median Dice of the validation server .9335 / .9304 / .8899 for WT / TC / ET (paper).
_base_ = [
    '../_base_/models/bitr_unet.py',
    '../_base_/datasets/brats2021_labels.py',
    '../_base_/schedules/schedule_adam_200e.py',
    '../_base_/segmentation_runtime.py',
]
train_cfg = dict(max_epochs=3000, val_interval=100)
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(optimizer=dict(lr=2e-4, weight_decay=1e-5, amsgrad=True))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]

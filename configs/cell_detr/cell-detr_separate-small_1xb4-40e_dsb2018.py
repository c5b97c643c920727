# Cell-DETR A, small, each mask on its own, from scratch on nuclei (Data Science Bowl 2018), up to 100 in a picture.
_base_ = [
    '../_base_/models/cell_detr_small.py', '../_base_/datasets/dsb2018_instance.py',
    '../_base_/schedules/schedule_small.py', '../_base_/default_runtime.py'
]
model = dict(
    num_classes=1,
    num_queries=100,
    head=dict(mask_decoder=dict(output=dict(type='mmparts.SeparateOutput'))))

max_epochs = 40
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', begin=0, end=max_epochs, by_epoch=True, convert_to_iter_based=True, eta_min=1e-5)
]

# Masked data modelling on generated images with captions: texts, images and pairs. Visual tokens are mean colours.
_base_ = [
    '../_base_/models/beit3_small.py',
    '../_base_/datasets/shapes_first_captions.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=8, val_interval=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-2, begin=0, end=8, convert_to_iter_based=True),
]
test_pipeline = [*_base_.load, dict(type='mmparts.PackMultimodal', texts='first')]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=32)

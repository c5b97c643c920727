# Masked data modelling on generated images with captions: texts, images and pairs. Visual tokens are mean colours:
# python tools/make_shapes.py --out data/shapes_named_30k --images 30000 --size 64 --objects 2 --smallest 0.4 \
#   --captions names
_base_ = [
    '../_base_/models/beit3_small.py',
    '../_base_/datasets/shapes_first_captions.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/multimodal_runtime.py',
]
data_root = 'data/shapes_named_30k/'
test_pipeline = [*_base_.load, dict(type='mmparts.PackMultimodal', texts='first')]
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_cfg = dict(loss=True)
val_evaluator = []  # losses and accuracies of what is masked, of the validation
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=2, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-2, begin=0, end=2, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(save_best='val/loss', rule='less'))
auto_scale_lr = dict(base_batch_size=32)

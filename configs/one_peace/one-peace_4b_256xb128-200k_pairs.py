# ONE-PEACE, stage one: images and texts, 1.5 billion pairs (paper). COCO R@1 65.4 of images, 84.1 of texts (paper).
_base_ = [
    '../_base_/models/one_peace_pretrain.py',
    '../_base_/datasets/pairs_tars.py',
    '../_base_/schedules/schedule_one_peace.py',
    '../_base_/multimodal_runtime.py',
]
train_pipeline = [
    dict(type='mmparts.LoadTarImage'),
    dict(type='mmparts.RandomAreaCrop', size=256, area=(0.9, 1.0), interpolation='bicubic'),
    dict(type='mmparts.PackMultimodal', texts='first'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(256, 256), interpolation='bicubic', backend='pillow'),
    dict(type='mmparts.PackMultimodal'),
]
train_dataloader = dict(sampler=dict(type='InfiniteSampler'), dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=10000))
log_processor = dict(by_epoch=False)

# Visual tokens of generated images of one or two objects, taught by the small CLIP of configs/clip:
# python tools/make_shapes.py --out data/shapes_named_30k --images 30000 --size 64 --objects 2 --smallest 0.4 \
#   --captions names
_base_ = [
    '../_base_/models/vqkd_small.py',
    '../_base_/models/vqkd_small_tokenizer.py',
    '../_base_/datasets/shapes_images.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/classification_runtime.py',
]
model = dict(tokenizer=_base_.visual_tokenizer)
data_root = 'data/shapes_named_30k/'
load = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(64, 64), interpolation='bicubic', backend='pillow'),
]
train_pipeline = [*load, dict(type='RandomFlip', prob=0.5), dict(type='mmparts.PackImage')]
test_pipeline = [*load, dict(type='mmparts.PackImage')]
train_dataloader = dict(
    batch_size=64, num_workers=1, drop_last=True, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
val_dataloader = dict(
    _delete_=True,
    batch_size=50,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmparts.UnlabelledImages',
        data_root=data_root,
        data_prefix=dict(img='val/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmparts.CodeUsage')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1)
val_cfg = dict(loss=True)
optim_wrapper = dict(optimizer=dict(lr=5e-4, betas=(0.9, 0.99), weight_decay=1e-4), clip_grad=None)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=0.05, begin=0, end=1, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(save_best='val/loss', rule='less'))
auto_scale_lr = dict(base_batch_size=64)

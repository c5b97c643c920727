# BEiT v2's visual tokens: VQ-KD with 3 decoder blocks, taught by CLIP ViT-B/16, on ImageNet; 97 % of the codes in use
# (official). The teacher is OpenAI's file, whose name there is ViT-B-16.pt.
_base_ = [
    '../_base_/models/vqkd.py',
    '../_base_/models/vqkd_tokenizer.py',
    '../_base_/datasets/imagenet_images.py',
    '../_base_/classification_runtime.py',
]
model = dict(tokenizer=_base_.visual_tokenizer)
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=224, area=(0.08, 1.0), interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.PackImage'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(100000, 224), keep_ratio=True, interpolation='bicubic', backend='pillow'),
    dict(type='mmcv.CenterCrop', crop_size=224),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    _delete_=True,
    batch_size=96,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmparts.UnlabelledImages',
        data_root=_base_.data_root,
        data_prefix=dict(img='val/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmparts.CodeUsage')
test_evaluator = val_evaluator
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=1)
val_cfg = dict(type='mmparts.ValidationLoop', loss=True)
test_cfg = dict(type='TestLoop')
# The paper's appendix and the published command say no rate; the code's default is 5e-5 for 128 images.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.99), eps=1e-8, weight_decay=1e-4),
    constructor='mmparts.LayerDecayConstructor',
    paramwise_cfg=dict(no_decay=('position.grid',)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.05, by_epoch=True, begin=10, end=100, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=5, save_best='val/loss', rule='less'))
auto_scale_lr = dict(enable=False, base_batch_size=512)

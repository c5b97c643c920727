# BEiT-3 base, masked data modelling of texts, images and pairs.
# A step takes 2,048 of each (paper); here all three are made of the same 2,048 pairs. The visual tokens are those of
# BEiT v2: its published file, frozen, 86,404,640 parameters beside the 276,510,730 that are trained; one of your own is
# `codes.checkpoint`, trained by configs/vqkd. Neither code nor data of the pre-training were published.
_base_ = [
    '../_base_/models/beit3_pretrain.py',
    '../_base_/models/vqkd_tokenizer.py',
    '../_base_/datasets/pairs_tars.py',
    '../_base_/schedules/schedule_one_peace.py',
    '../_base_/multimodal_runtime.py',
]
published = 'data/pretrained/vqkd_encoder_base_decoder_3x768x12_clip-d5036aa7.pth'
model = dict(objectives=dict(masked=dict(codes=dict(**_base_.visual_tokenizer, checkpoint=published))))
train_pipeline = [
    dict(type='mmparts.LoadTarImage'),
    dict(type='mmparts.RandomAreaCrop', size=224, area=(0.5, 1.0), interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.PackMultimodal', texts='first'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(224, 224), interpolation='bicubic', backend='pillow'),
    dict(type='mmparts.PackMultimodal', texts='first'),
]
train_dataloader = dict(batch_size=32, sampler=dict(type='InfiniteSampler'), dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_cfg = dict(type='mmparts.ValidationLoop', loss=True)
val_evaluator = []  # losses and accuracies of what is masked, of the validation
test_evaluator = val_evaluator
train_cfg = dict(max_iters=1000000)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, eps=1e-6), clip_grad=None, paramwise_cfg=dict(no_decay=('positions.image',))
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=10000),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.001, by_epoch=False, begin=10000, end=1000000, T_max=990000),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=10000, save_best='val/loss', rule='less'))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(base_batch_size=2048)

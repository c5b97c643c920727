# CLIP RN50x16 at 384 pixels. Zero-shot ImageNet 70.7 (paper).
_base_ = './clip_rn50_256xb128-32e_wit400m.py'
model = dict(
    towers=dict(image=dict(backbone=dict(arch='rn50x16')), text=dict(embed_dims=768)), projections=dict(text=768)
)

train_pipeline = [
    dict(type='mmparts.LoadTarImage'),
    dict(type='mmparts.RandomAreaCrop', size=384, area=(0.9, 1.0), interpolation='bicubic'),
    dict(type='mmparts.PackMultimodal', texts='first'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(100000, 384), keep_ratio=True, interpolation='bicubic', backend='pillow'),
    dict(type='mmcv.CenterCrop', crop_size=384),
    dict(type='mmparts.PackMultimodal'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=4e-4))

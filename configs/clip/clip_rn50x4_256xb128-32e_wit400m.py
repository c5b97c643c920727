# CLIP RN50x4 at 288 pixels. Zero-shot ImageNet 66.3 (paper).
_base_ = './clip_rn50_256xb128-32e_wit400m.py'
model = dict(
    towers=dict(image=dict(backbone=dict(arch='rn50x4')), text=dict(embed_dims=640)), projections=dict(text=640)
)

train_pipeline = [
    dict(type='mmparts.LoadTarImage'),
    dict(type='mmparts.RandomAreaCrop', size=288, area=(0.9, 1.0), interpolation='bicubic'),
    dict(type='mmparts.PackMultimodal', texts='first'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(100000, 288), keep_ratio=True, interpolation='bicubic', backend='pillow'),
    dict(type='mmcv.CenterCrop', crop_size=288),
    dict(type='mmparts.PackMultimodal'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# ImageNet-1k as a folder for each class, augmented as Swin is. Another folder: --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
dataset_type = 'mmparts.ImageFolders'
data_root = 'data/imagenet/'

train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=224, interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.RandomChanges', num=2, level=9, deviation=0.5),
    dict(type='mmparts.RandomBoxNoise', prob=0.25),
    dict(type='mmparts.PackImage'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(100000, 256), keep_ratio=True, interpolation='bicubic', backend='pillow'),
    dict(type='mmcv.CenterCrop', crop_size=224),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    drop_last=True,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=dict(img='train'), pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    dataset=dict(
        type=dataset_type, data_root=data_root, data_prefix=dict(img='val'), test_mode=True, pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.TopKAccuracy', topk=(1, 5))
test_evaluator = val_evaluator

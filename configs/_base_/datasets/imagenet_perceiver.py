# ImageNet-1k, augmented as both Perceiver papers do: crops, flips, four random changes.
_base_ = './imagenet_classification.py'
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=224, interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.RandomChanges', num=4, level=5, deviation=0.0),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

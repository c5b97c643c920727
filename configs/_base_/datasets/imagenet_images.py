# ImageNet-1k without its labels, cropped as SimMIM does. Another folder: --cfg-options data_root=FOLDER.
data_root = 'data/imagenet/'
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=192, area=(0.67, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmparts.UnlabelledImages', data_root=data_root, data_prefix=dict(img='train/'), pipeline=train_pipeline
    ),
)
val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None

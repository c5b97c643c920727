# The kind (circle, star ...) of the one object of each image of `shapes_captions.py`: its first 400 images train.
# Another folder: --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/shapes_captions/'
num_classes = 6
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=64, area=(0.5, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.PackImage'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(64, 64)),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    dataset=dict(
        type='mmparts.LargestObject',
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        indices=list(range(400)),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    dataset=dict(
        type='mmparts.LargestObject',
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.TopKAccuracy')
test_evaluator = val_evaluator

# Blood cells cut out of BCCD, a folder for each of three classes; the first 80 % of each train. Another folder:
# --cfg-options data_root=FOLDER.
dataset_type = 'mmparts.ImageFolders'
data_root = 'data/bccd_cell_crops_cls/'
num_classes = 3

train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=64, area=(0.5, 1.0), interpolation='bilinear'),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='mmparts.PackImage'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(64, 64)),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, fraction=(0.0, 0.8), pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=66,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type=dataset_type, data_root=data_root, fraction=(0.8, 1.0), test_mode=True, pipeline=test_pipeline),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.TopKAccuracy')
test_evaluator = val_evaluator

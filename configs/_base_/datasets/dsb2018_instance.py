# Nuclei of Data Science Bowl 2018, boxes and masks; every fifth picture validates. Folder: --cfg-options data_root=DIR.
dataset_type = 'mmparts.CheckedCocoDataset'
data_root = 'data/dsb2018_nuclei/'
metainfo = dict(classes=('nucleus',))
num_pictures = 73
scale = (256, 256)

train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='instances_dev.json',
        data_prefix=dict(img='images/'),
        indices=[index for index in range(num_pictures) if index % 5],
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='instances_dev.json',
        data_prefix=dict(img='images/'),
        indices=list(range(0, num_pictures, 5)),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.CheckedCocoMetric', metric=['bbox', 'segm'])
test_evaluator = val_evaluator

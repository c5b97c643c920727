# DINO, small, from scratch on BCCD: red and white blood cells and platelets. What it reached: README.md, Real data.
_base_ = [
    '../_base_/models/dino_small.py',
    '../_base_/datasets/bccd_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/default_runtime.py',
]
# From scratch, telling the classes apart is what takes time: the class loss weighs five times the paper's.
model = dict(
    num_classes=3,
    num_queries=60,
    head=dict(
        terms=[
            dict(type='mmparts.FocalTerm', weight=5.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
        ]
    ),
)

scale = (320, 240)  # half of the pictures' size
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomCrop', crop_type='relative_range', crop_size=(0.6, 0.6), allow_negative_crop=True),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=60, val_interval=20)

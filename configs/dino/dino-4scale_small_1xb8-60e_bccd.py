# DINO, small, from scratch on BCCD: red and white blood cells and platelets. What it reached: README.md, Real data.
_base_ = [
    '../_base_/models/dino_small.py',
    '../_base_/datasets/bccd_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
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

resize = dict(type='Resize', scale=(320, 240), keep_ratio=True)  # half of the images' size
train_pipeline = [
    _base_.load_image,
    _base_.load_boxes,
    _base_.flip_both_ways,
    resize,
    dict(type='RandomCrop', crop_type='relative_range', crop_size=(0.6, 0.6), allow_negative_crop=True),
    dict(type='PhotoMetricDistortion'),
    _base_.pack,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=60, val_interval=20)

# COCO 2017 boxes with DETR's augmentation. Another folder: --cfg-options data_root=FOLDER.
_base_ = './coco_style.py'
data_root = 'data/coco/'
backend_args = None
read_image = dict(type='mmparts.LoadCheckedImage', backend_args=backend_args)

train_scales = [(side, 1333) for side in range(480, 801, 32)]
crop_scales = [(400, 4200), (500, 4200), (600, 4200)]  # in effect no limit on the longer side
choose_size = dict(type='RandomChoiceResize', scales=train_scales, keep_ratio=True)
choose_crop = dict(
    type='RandomChoice',
    transforms=[
        [choose_size],
        [
            dict(type='RandomChoiceResize', scales=crop_scales, keep_ratio=True),
            dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True),
            choose_size,
        ],
    ],
)
train_pipeline = [read_image, _base_.load_boxes, _base_.flip, choose_crop, _base_.pack]
test_pipeline = [
    read_image,
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    _base_.load_boxes,
    _base_.pack_test,
]

coco = dict(data_root=data_root, backend_args=backend_args)
train_dataloader = dict(
    dataset=dict(
        **coco,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=False, min_size=32),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        **coco, ann_file='annotations/instances_val2017.json', data_prefix=dict(img='val2017/'), pipeline=test_pipeline
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(backend_args=backend_args)
test_evaluator = val_evaluator

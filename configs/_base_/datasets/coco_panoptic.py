# COCO 2017 panoptic, every segment an instance. Another folder: --cfg-options data_root=FOLDER.
_base_ = './coco_instance.py'
backend_args = {{_base_.backend_args}}
image_size = {{_base_.image_size}}
things = 80
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage', backend_args=backend_args),
    dict(type='mmparts.LoadPanopticMap', backend_args=backend_args),
    dict(type='mmparts.PanopticInstances', things=things),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomResize', scale=image_size, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=image_size, recompute_bbox=True, allow_negative_crop=True),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-5, 1e-5), by_mask=True, keep_empty=False),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage', backend_args=backend_args),
    dict(type='mmparts.LoadPanopticMap', backend_args=backend_args),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'panoptic_map', 'segments_info'),
    ),
]
train_dataloader = dict(
    dataset=dict(
        type='mmparts.CheckedPanopticDataset',
        ann_file='annotations/panoptic_train2017.json',
        data_prefix=dict(img='train2017/', seg='annotations/panoptic_train2017/'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmparts.CheckedPanopticDataset',
        ann_file='annotations/panoptic_val2017.json',
        data_prefix=dict(img='val2017/', seg='annotations/panoptic_val2017/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(_delete_=True, type='mmparts.PanopticQuality', things=things)
test_evaluator = val_evaluator

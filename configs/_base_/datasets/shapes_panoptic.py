# The generated set "shapes" (tools/make_shapes.py), objects and stuff.
_base_ = './shapes_detection.py'
scale = {{_base_.scale}}
thing_classes = ('circle', 'square', 'triangle', 'star', 'ring', 'cross')
stuff_classes = ('sky', 'grass', 'brick', 'sand', 'water')
things = len(thing_classes)
metainfo = dict(classes=thing_classes + stuff_classes, thing_classes=thing_classes, stuff_classes=stuff_classes)
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.LoadPanopticMap'),
    dict(type='mmparts.PanopticInstances', things=things),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.LoadPanopticMap'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'panoptic_map', 'segments_info'),
    ),
]
train_dataloader = dict(
    dataset=dict(
        type='mmparts.CheckedPanopticDataset',
        metainfo=metainfo,
        ann_file='annotations/panoptic_train.json',
        data_prefix=dict(img='train/', seg='panoptic_train/'),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmparts.CheckedPanopticDataset',
        metainfo=metainfo,
        ann_file='annotations/panoptic_val.json',
        data_prefix=dict(img='val/', seg='panoptic_val/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(_delete_=True, type='mmparts.PanopticQuality', things=things)
test_evaluator = val_evaluator

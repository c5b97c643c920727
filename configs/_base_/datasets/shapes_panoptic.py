# The generated set "shapes" (tools/make_shapes.py), objects and stuff.
_base_ = ['./shapes_detection.py', './panoptic_style.py']
thing_classes = ('circle', 'square', 'triangle', 'star', 'ring', 'cross')
stuff_classes = ('sky', 'grass', 'brick', 'sand', 'water')
things = len(thing_classes)
metainfo = dict(classes=thing_classes + stuff_classes, thing_classes=thing_classes, stuff_classes=stuff_classes)
train_pipeline = [
    _base_.load_image,
    _base_.load_map,
    dict(type='mmparts.PanopticInstances', things=things),
    _base_.flip,
    _base_.resize,
    _base_.pack,
]
test_pipeline = [_base_.load_image, _base_.load_map, _base_.resize, _base_.pack_test_map]
train_dataloader = dict(
    dataset=dict(
        type='mmparts.CheckedPanopticDataset',
        metainfo=metainfo,
        ann_file='annotations/panoptic_train.json',
        data_prefix=dict(seg='panoptic_train/'),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmparts.CheckedPanopticDataset',
        metainfo=metainfo,
        ann_file='annotations/panoptic_val.json',
        data_prefix=dict(seg='panoptic_val/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(_delete_=True, type='mmparts.PanopticQuality', things=things)
test_evaluator = val_evaluator

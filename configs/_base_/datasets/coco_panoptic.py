# COCO 2017 panoptic, every segment an instance. Another folder: --cfg-options data_root=FOLDER.
_base_ = ['./coco_instance.py', './panoptic_style.py']
backend_args = _base_.backend_args
things = 80
train_pipeline = [
    _base_.read_image,
    dict(type='mmparts.LoadPanopticMap', backend_args=backend_args),
    dict(type='mmparts.PanopticInstances', things=things),
    *_base_.jitter,
]
test_pipeline = [
    _base_.read_image,
    dict(type='mmparts.LoadPanopticMap', backend_args=backend_args),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    _base_.pack_test_map,
]
train_dataloader = dict(
    dataset=dict(
        type='mmparts.CheckedPanopticDataset',
        ann_file='annotations/panoptic_train2017.json',
        data_prefix=dict(seg='annotations/panoptic_train2017/'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmparts.CheckedPanopticDataset',
        ann_file='annotations/panoptic_val2017.json',
        data_prefix=dict(seg='annotations/panoptic_val2017/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(_delete_=True, type='mmparts.PanopticQuality', things=things)
test_evaluator = val_evaluator

# The generated set "shapes" (tools/make_shapes.py), a class for every pixel. Another folder:
# --cfg-options data_root=FOLDER.
dataset_type = 'mmseg.BaseSegDataset'
data_root = 'data/shapes/'
num_classes = 11
metainfo = dict(
    classes=('circle', 'square', 'triangle', 'star', 'ring', 'cross', 'sky', 'grass', 'brick', 'sand', 'water')
)

train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='mmcv.RandomFlip', prob=0.5),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        img_suffix='.jpg',
        data_prefix=dict(img_path='train', seg_map_path='semantic_train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        img_suffix='.jpg',
        data_prefix=dict(img_path='val', seg_map_path='semantic_val'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmseg.IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

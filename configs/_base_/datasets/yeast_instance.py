# Trapped yeast cells, boxes and masks, as COCO files; images at 128 pixels. Folder: --cfg-options data_root=FOLDER.
_base_ = './coco_style.py'
data_root = 'data/yeast/'
metainfo = dict(classes=('trap', 'cell'))
scale = (128, 128)
resize = dict(type='Resize', scale=scale, keep_ratio=True)

train_pipeline = [
    _base_.load_image,
    _base_.load_masks,
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    resize,
    _base_.pack,
]
test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]
train_dataloader = dict(
    batch_size=10,
    dataset=dict(
        data_root=data_root, metainfo=metainfo, filter_cfg=dict(filter_empty_gt=False), pipeline=train_pipeline
    ),
)
val_dataloader = dict(batch_size=10, dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator

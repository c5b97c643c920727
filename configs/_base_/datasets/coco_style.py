# A data set in COCO's format, `annotations/instances_{train,val}.json` with images in `train/` and `val/`; steps of
# pipelines. Who builds on it says its folder, classes and pipelines, and other names of files.
_base_ = './loaders.py'
load_image = dict(type='mmparts.LoadCheckedImage')
load_boxes = dict(type='LoadAnnotations', with_bbox=True)
load_masks = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
flip = dict(type='RandomFlip', prob=0.5)
flip_both_ways = dict(
    type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']
)  # images without an upright
pack = dict(type='PackDetInputs')
pack_test = dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))

train_dataloader = dict(
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='mmparts.CheckedCocoDataset', ann_file='annotations/instances_train.json', data_prefix=dict(img='train/')
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='mmparts.CheckedCocoDataset',
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        test_mode=True,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.CheckedCocoMetric', metric='bbox')
test_evaluator = val_evaluator

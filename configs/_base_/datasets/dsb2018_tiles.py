# Nuclei of Data Science Bowl 2018 in tiles of a third of a picture, few in each. Write them with
#   python tools/cut_tiles.py DIR/instances_dev.json DIR/images data/dsb2018_tiles
_base_ = './dsb2018_instance.py'
data_root = 'data/dsb2018_tiles/'
scale = (128, 128)
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(data_root=data_root, ann_file='instances_train.json', indices=None, pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='instances_val.json', indices=None, pipeline=test_pipeline)
)
test_dataloader = val_dataloader

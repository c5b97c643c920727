# Cell-DETR A, small, each mask on its own, from scratch on nuclei (Data Science Bowl 2018), up to 100 in a picture.
_base_ = './cell-detr_small_1xb8-9e_shapes-instance.py'
data_root = 'data/dsb2018_nuclei/'
num_pictures = 73
metainfo = dict(classes=('nucleus', ))
model = dict(
    num_classes=1,
    num_queries=100,
    head=dict(mask_decoder=dict(output=dict(type='mmparts.SeparateOutput'))))

scale = (256, 256)
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs')
]
# Every fifth picture is for validation.
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='instances_dev.json',
        data_prefix=dict(img='images/'),
        indices=[index for index in range(num_pictures) if index % 5],
        pipeline=train_pipeline))

test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
]
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='instances_dev.json',
        data_prefix=dict(img='images/'),
        indices=list(range(0, num_pictures, 5)),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

max_epochs = 40
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', begin=0, end=max_epochs, by_epoch=True, convert_to_iter_based=True, eta_min=1e-5)
]

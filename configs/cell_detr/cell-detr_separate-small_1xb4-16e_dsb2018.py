# Cell-DETR A, small, each mask on its own, from scratch on nuclei (Data Science Bowl 2018), up to 100 in a picture.
_base_ = [
    '../_base_/models/cell_detr_small.py', '../_base_/datasets/dsb2018_instance.py',
    '../_base_/schedules/schedule_small.py', '../_base_/default_runtime.py'
]
# Nuclei are small: with the paper's weights all boxes grow to most of the picture, which GIoU likes best of what
# misses. Here L1 and GIoU weigh against each other as in DETR.
model = dict(
    num_classes=1,
    num_queries=100,
    head=dict(
        mask_decoder=dict(output=dict(type='mmparts.SeparateOutput')),
        terms=[
            dict(type='mmparts.ClassWeightTerm', class_weights=1.5, no_object_weight=0.5),
            dict(type='mmparts.CornerL1Term', weight=20.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.AreaDiceTerm', weight=1.0),
            dict(type='mmparts.PixelFocalTerm', weight=25.6)
        ],
        matcher=dict(costs=[
            dict(type='mmparts.SoftmaxCost', weight=1.0),
            dict(type='mmparts.BoxL1Cost', weight=5.0),
            dict(type='mmparts.GIoUCost', weight=2.0)
        ])))

scale = (128, 128)  # half the size; every nucleus has a mask of the whole picture to train
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs')
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

max_epochs = 16
train_cfg = dict(max_epochs=max_epochs, val_interval=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', begin=0, end=max_epochs, by_epoch=True, convert_to_iter_based=True, eta_min=1e-5)
]

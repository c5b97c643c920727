# COCO with captions, Karpathy's splits, images of 384 pixels; mean and deviation belong to the model. Another folder:
# --cfg-options data_root=FOLDER, which holds dataset_coco.json and COCO's image folders.
data_root = 'data/coco/'
load = dict(type='mmparts.LoadCheckedImage')
resize = dict(type='mmcv.Resize', scale=(384, 384), interpolation='bicubic', backend='pillow')
train_pipeline = [
    load,
    dict(type='mmparts.RandomAreaCrop', size=384, area=(0.5, 1.0), interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.PackMultimodal', texts='random'),
]
test_pipeline = [load, resize, dict(type='mmparts.PackMultimodal')]
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmparts.KarpathyCaptions',
        data_root=data_root,
        ann_file='dataset_coco.json',
        data_prefix=dict(img=''),
        split=('train', 'restval'),
        per='text',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmparts.KarpathyCaptions',
        data_root=data_root,
        ann_file='dataset_coco.json',
        data_prefix=dict(img=''),
        split='test',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.RetrievalRecall')
test_evaluator = val_evaluator

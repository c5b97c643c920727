# 26 + 8 images of COCO with five captions each; tests are on the training images. Another folder: --cfg-options
# data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/coco_mini_captions/'
load = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(64, 64), interpolation='bicubic', backend='pillow'),
]
train_pipeline = [*load, dict(type='mmparts.PackMultimodal', texts='random')]
test_pipeline = [*load, dict(type='mmparts.PackMultimodal')]
train_dataloader = dict(
    batch_size=26,
    num_workers=1,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        type='mmparts.CocoCaptions',
        data_root=data_root,
        ann_file='annotations/captions_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        type='mmparts.CocoCaptions',
        data_root=data_root,
        ann_file='annotations/captions_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=8, num_workers=1, dataset=dict(train_dataloader['dataset'], test_mode=True, pipeline=test_pipeline)
)
val_evaluator = dict(type='mmparts.RetrievalRecall')
test_evaluator = val_evaluator

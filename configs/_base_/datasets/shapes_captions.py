# The generated set "shapes" with captions, one object an image; ten names of colour and kind are for the split
# `unseen`: python tools/make_shapes.py --out data/shapes_captions --images 2000 --size 64 --objects 1 --unseen \
#   "red circle, blue star, green ring, yellow cross, purple square, orange triangle, cyan circle, pink star, \
#   white ring, black cross"
# Another folder: --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/shapes_captions/'
load = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(64, 64), interpolation='bicubic', backend='pillow'),
]
train_pipeline = [*load, dict(type='RandomFlip', prob=0.5), dict(type='mmparts.PackMultimodal', texts='first')]
test_pipeline = [*load, dict(type='mmparts.PackMultimodal')]
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    drop_last=True,
    dataset=dict(
        type='mmparts.CocoCaptions',
        data_root=data_root,
        ann_file='annotations/captions_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=1,
    dataset=dict(
        type='mmparts.CocoCaptions',
        data_root=data_root,
        ann_file='annotations/captions_val.json',
        data_prefix=dict(img='val/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.RetrievalRecall')
test_evaluator = val_evaluator

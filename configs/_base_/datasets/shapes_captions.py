# The generated set "shapes", one object an image, with captions that name it by colour and kind, with its texture, and
# by kind alone; ten names of colour and kind are for the split `unseen`:
# python tools/make_shapes.py --out data/shapes_captions --images 60000 --size 64 --objects 1 --smallest 0.5 \
#   --captions names --unseen \
#   "red circle, blue star, green ring, yellow cross, purple square, orange triangle, cyan circle, pink star, \
#   white ring, black cross"
# Another folder: --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/shapes_captions/'
load = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(64, 64), interpolation='bicubic', backend='pillow'),
]
flip = dict(type='RandomFlip', prob=0.5)
train_pipeline = [*load, flip, dict(type='mmparts.PackMultimodal', texts='random')]
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
val_evaluator = dict(type='mmparts.EqualTextRecall')
test_evaluator = val_evaluator

# The generated set "shapes" with the caption that counts what is shown, by texture, colour and kind:
# python tools/make_shapes.py --out data/shapes_pairs --images 4000 --size 64 --objects 2
# Another folder: --cfg-options data_root=FOLDER.
data_root = 'data/shapes_pairs/'
load = [dict(type='mmparts.LoadCheckedImage'), dict(type='mmcv.Resize', scale=(64, 64))]
train_pipeline = [*load, dict(type='RandomFlip', prob=0.5), dict(type='mmparts.PackMultimodal', texts='first')]
test_pipeline = [*load, dict(type='mmparts.PackMultimodal', texts='none')]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
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
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
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
val_evaluator = [dict(type='mmparts.CaptionScores'), dict(type='mmparts.CaptionedObjects')]
test_evaluator = val_evaluator

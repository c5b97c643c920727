# The images of the generated set "shapes" (tools/make_shapes.py) without annotations, for pre-training by masks.
# Another folder: --cfg-options data_root=FOLDER.
data_root = 'data/shapes/'
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomAreaCrop', size=64, area=(0.3, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.PackImage'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmparts.UnlabelledImages', data_root=data_root, data_prefix=dict(img='train/'), pipeline=train_pipeline
    ),
)
val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None

# The generated set "glyphs" (tools/make_arrays.py glyphs): single shapes of six classes, 16 pixels a side. Another
# folder: --cfg-options data_root=FOLDER.
dataset_type = 'mmparts.ImageFolders'
data_root = 'data/glyphs/'
num_classes = 6

train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.PackImage'),
]
test_pipeline = [dict(type='mmparts.LoadCheckedImage'), dict(type='mmparts.PackImage')]
train_dataloader = dict(
    batch_size=50,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=dict(img='train'), pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type, data_root=data_root, data_prefix=dict(img='val'), test_mode=True, pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.TopKAccuracy')
test_evaluator = val_evaluator

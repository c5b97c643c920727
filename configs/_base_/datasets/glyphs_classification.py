# The generated set "glyphs" (tools/make_arrays.py glyphs): single shapes of six classes, 16 pixels a side. Another
# folder: --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
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
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=dict(img='train'), pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=100,
    dataset=dict(
        type=dataset_type, data_root=data_root, data_prefix=dict(img='val'), test_mode=True, pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.TopKAccuracy')
test_evaluator = val_evaluator

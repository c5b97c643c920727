# Clips of video and sound as npz files in the layout of the generated set (tools/make_arrays.py clips). Another folder:
# --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/clips/'
num_classes = 6
metainfo = dict(classes=('circle', 'square', 'triangle', 'star', 'ring', 'cross'))
pipeline = [
    dict(type='mmparts.LoadClip', num_frames=8, num_samples=2048, rate=8000),
    dict(type='mmparts.PackClip', num_classes=num_classes),
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        type='mmparts.ClipFiles',
        data_root=data_root,
        data_prefix=dict(clip='train'),
        metainfo=metainfo,
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=4,
    dataset=dict(
        type='mmparts.ClipFiles',
        data_root=data_root,
        data_prefix=dict(clip='val'),
        metainfo=metainfo,
        test_mode=True,
        pipeline=pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.ClipFidelity')
test_evaluator = val_evaluator

# Point clouds as npz files in the layout of the generated set (tools/make_arrays.py points). Another folder:
# --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/points/'
num_classes = 5
metainfo = dict(classes=('sphere', 'cube', 'cylinder', 'cone', 'torus'))
load = dict(type='mmparts.LoadSet')
pack = dict(type='mmparts.PackSet')
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        type='mmparts.SetFiles',
        data_root=data_root,
        data_prefix=dict(set='train'),
        metainfo=metainfo,
        pipeline=[load, dict(type='mmparts.TurnPoints'), pack],
    ),
)
val_dataloader = dict(
    batch_size=50,
    dataset=dict(
        type='mmparts.SetFiles',
        data_root=data_root,
        data_prefix=dict(set='val'),
        metainfo=metainfo,
        test_mode=True,
        pipeline=[load, pack],
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.SetAccuracy')
test_evaluator = val_evaluator

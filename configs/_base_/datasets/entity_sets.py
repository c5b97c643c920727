# Sets of units, each threatened or not (tools/make_arrays.py entities). Another folder: --cfg-options data_root=FOLDER.
_base_ = './point_sets.py'
data_root = 'data/entities/'
metainfo = dict(classes=('safe', 'threatened'))
train_dataloader = dict(
    dataset=dict(
        data_root=data_root, metainfo=metainfo, pipeline=[dict(type='mmparts.LoadSet'), dict(type='mmparts.PackSet')]
    )
)
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader

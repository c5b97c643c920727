# Generated nested ellipsoids in four modalities (tools/make_phantoms.py), as regions of BraTS.
_base_ = './volumes.py'
data_root = 'data/phantoms/nested/'
patch_size = (32, 32, 32)
metainfo = dict(regions=dict(WT=('necrosis', 'edema', 'enhancing'), TC=('necrosis', 'enhancing'), ET=('enhancing',)))
mirror = dict(type='mmparts.RandomMirror')

train_pipeline = [
    *_base_.load,
    dict(type='mmparts.ZScore', nonzero=True),
    dict(type='mmparts.RandomPatch', size=patch_size, foreground=0.5),
    mirror,
    dict(type='mmparts.RandomNoise'),
    _base_.pack,
]
test_pipeline = [_base_.load_image, dict(type='mmparts.ZScore', nonzero=True), _base_.load_label, _base_.pack]
dataset = dict(data_root=data_root, layout='dataset_json', metainfo=metainfo)
train_dataloader = dict(dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(empty_rule='brats')
test_evaluator = val_evaluator

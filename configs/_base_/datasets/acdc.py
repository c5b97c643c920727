# ACDC: right ventricle, myocardium, left ventricle in cine MR, nnU-Net's folders; thick slices, 14 x 160 x 160.
# A patient has two frames: split by a file (tools/prepare_volumes.py --folds 5 --patient '(patient\d+)').
_base_ = './volumes.py'
data_root = 'data/acdc/'
patch_size = (14, 160, 160)
metainfo = dict(labels=dict(background=0, right_ventricle=1, myocardium=2, left_ventricle=3))
normalise = dict(type='mmparts.ZScore')

train_pipeline = [
    *_base_.load,
    normalise,
    dict(type='mmparts.RandomPatch', size=patch_size),
    dict(type='mmparts.RandomSpatial', angle=180.0),
    *_base_.intensity_changes,
    dict(type='mmparts.RandomMirror'),
    _base_.pack,
]
test_pipeline = [_base_.load_image, normalise, _base_.load_label, _base_.pack]
dataset = dict(data_root=data_root, layout='index', folds='splits_final.json', metainfo=metainfo)
train_dataloader = dict(batch_size=4, dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader

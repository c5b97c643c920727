# BraTS 2021: four modalities, regions WT, TC, ET; brain box, z-score of the brain, patches of 128 x 128 x 128.
_base_ = './volumes.py'
data_root = 'data/BraTS2021/'
patch_size = (128, 128, 128)
layout = dict(type='brats', modalities=('flair', 't1ce', 't1', 't2'))
normalise = [dict(type='mmparts.CropForeground'), dict(type='mmparts.ZScore', nonzero=True)]

train_pipeline = [
    *_base_.load,
    *normalise,
    dict(type='mmparts.RandomPatch', size=patch_size, foreground=0.0),
    dict(type='mmparts.RandomMirror'),
    dict(type='mmparts.RandomBrightness', factor=(0.9, 1.1), prob=1.0),
    dict(type='mmparts.MonaiTransform', transform='RandShiftIntensityd', offsets=0.1, prob=1.0),
    _base_.pack,
]
test_pipeline = [_base_.load_image, *normalise, _base_.load_label, _base_.pack]
dataset = dict(data_root=data_root, layout=layout)
train_dataloader = dict(batch_size=1, dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(empty_rule='brats')
test_evaluator = val_evaluator

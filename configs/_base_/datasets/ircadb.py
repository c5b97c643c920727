# 3DIRCADb: vessels in the liver, CT, 1 mm, HU from 0 to 400; 16 cases train, 4 validate. Folders images/ and labels/;
# in the labels 1 is the liver and 2 its portal and hepatic veins. Centrelines are scored, too.
_base_ = './volumes.py'
data_root = 'data/3Dircadb/'
patch_size = (96, 96, 96)
metainfo = dict(modalities=('CT',), labels=dict(background=(0, 1), vessel=2))
grid = [
    dict(type='mmparts.Orientation', axes='SPL'),
    dict(type='mmparts.Spacing', spacing=(1.0, 1.0, 1.0)),
    dict(type='mmparts.WindowIntensity', low=0, high=400),
]
train_pipeline = [
    *_base_.load,
    *grid,
    dict(type='mmparts.FindForeground'),
    dict(type='mmparts.RandomPatch', size=patch_size, foreground=0.5),
    dict(type='mmparts.RandomSpatial'),
    dict(type='mmparts.RandomMirror'),
    _base_.pack,
]
test_pipeline = [_base_.load_image, *grid, _base_.load_label, _base_.pack]
dataset = dict(data_root=data_root, layout='folders', metainfo=metainfo)
train_dataloader = dict(dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(measures=('Dice', 'sensitivity', 'precision', 'branches', 'length', 'clDice'))
test_evaluator = val_evaluator

# Generated vessel trees in CT (tools/make_phantoms.py); scored by their centrelines, too.
_base_ = './volumes.py'
data_root = 'data/phantoms/vessels/'
patch_size = (32, 32, 32)
window = dict(type='mmparts.WindowIntensity', low=0, high=250, to=(-1.0, 1.0))

train_pipeline = [
    *_base_.load,
    window,
    dict(type='mmparts.RandomPatch', size=patch_size, foreground=0.5),
    dict(type='mmparts.RandomMirror'),
    dict(type='mmparts.RandomNoise'),
    _base_.pack,
]
test_pipeline = [_base_.load_image, window, _base_.load_label, _base_.pack]
train_dataloader = dict(dataset=dict(data_root=data_root, layout='dataset_json', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, layout='dataset_json', pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(measures=('Dice', 'sensitivity', 'precision', 'HD95', 'branches', 'length', 'clDice'))
test_evaluator = val_evaluator

# KiTS21: kidney, tumour, cyst in CT as its three nested regions; HU clipped and scaled as nnU-Net did for KiTS19.
# Resampled to 3.22 x 1.62 x 1.62 mm: COTR-Net's paper was not at hand, this is our reading.
_base_ = './volumes.py'
data_root = 'data/kits21/'
patch_size = (80, 160, 160)
metainfo = dict(
    labels=dict(background=0, kidney=1, tumour=2, cyst=3),
    regions=dict(kidney_and_masses=('kidney', 'tumour', 'cyst'), masses=('tumour', 'cyst'), tumour=('tumour',)),
)
grid = [
    dict(type='mmparts.Orientation', axes='SPL'),
    dict(type='mmparts.Spacing', spacing=(3.22, 1.62, 1.62)),
    dict(type='mmparts.WindowIntensity', low=-79, high=304, to=None),
    dict(type='mmparts.ZScore', mean=101.0, std=76.9),
]
train_pipeline = [
    *_base_.load,
    *grid,
    dict(type='mmparts.FindForeground'),
    dict(type='mmparts.RandomPatch', size=patch_size, pad_value='min'),
    dict(type='mmparts.RandomSpatial'),
    *_base_.intensity_changes,
    dict(type='mmparts.RandomMirror'),
    _base_.pack,
]
test_pipeline = [_base_.load_image, *grid, _base_.load_label, _base_.pack]
dataset = dict(data_root=data_root, layout='dataset_json', metainfo=metainfo)
train_dataloader = dict(dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(measures=('Dice', 'NSD'))
test_evaluator = val_evaluator

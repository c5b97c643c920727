# What all data sets of volumes share: loading, loaders, metric. Every fifth of the sorted cases validates.
# Another folder: --cfg-options data_root=FOLDER. What is done before the random transforms is kept in cache_dir.
_base_ = './loaders.py'
load = [dict(type='mmparts.LoadVolume'), dict(type='mmparts.LoadVolumeLabel')]
# Labels of cases to be scored are loaded last, on the grid of their file.
load_image, load_label = load
intensity_changes = [
    dict(type='mmparts.RandomNoise'),
    dict(type='mmparts.RandomBlur'),
    dict(type='mmparts.RandomBrightness'),
    dict(type='mmparts.RandomContrast'),
    dict(type='mmparts.RandomLowResolution'),
    dict(type='mmparts.RandomGamma'),
]
pack = dict(type='mmparts.PackVolume')

dataset = dict(type='mmparts.VolumeDataset', cache_dir='work_dirs/volume_cache')
train_dataloader = dict(sampler=dict(_delete_=True, type='mmparts.DrawSampler'), dataset=dict(**dataset, part='train'))
val_dataloader = dict(dataset=dict(**dataset, part='val', test_mode=True))
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.VolumeMetric', measures=('Dice', 'HD95'))
test_evaluator = val_evaluator

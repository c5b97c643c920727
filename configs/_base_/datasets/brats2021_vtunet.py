# BraTS 2021 as VT-UNet trains: modalities T1, T1ce, T2, FLAIR, regions ET, TC, WT, percentiles of the brain, no
# augmentation; in its code an empty region costs no distance.
_base_ = './brats2021.py'
layout = dict(type='brats', modalities=('t1', 't1ce', 't2', 'flair'))
metainfo = dict(
    regions=dict(ET=('enhancing',), TC=('necrosis', 'enhancing'), WT=('necrosis', 'edema', 'enhancing')),
    paint=dict(WT='edema', TC='necrosis', ET='enhancing'),  # the largest first
)
normalise = [
    dict(type='mmparts.CropForeground'),
    dict(type='mmparts.PercentileIntensity', low=1, high=99, nonzero=True),
]
train_pipeline = [
    *_base_.load,
    *normalise,
    dict(type='mmparts.RandomPatch', size=_base_.patch_size, foreground=0.0),
    _base_.pack,
]
test_pipeline = [_base_.load_image, *normalise, _base_.load_label, _base_.pack]
dataset = dict(layout=dict(_delete_=True, **layout), metainfo=metainfo)
train_dataloader = dict(dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(empty_rule='vtunet')
test_evaluator = val_evaluator

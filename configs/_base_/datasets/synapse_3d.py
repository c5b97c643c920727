# Eight organs of BTCV in 3-D, as nnFormer trains them: TransUNet's cases, patches of 64 x 128 x 128.
_base_ = './synapse.py'
patch_size = (64, 128, 128)
window = dict(type='mmparts.WindowIntensity', low=-125, high=275, to=(-1.0, 1.0))
orient = dict(type='mmparts.Orientation', axes='SPL')

train_pipeline = [
    *_base_.load,
    orient,
    window,
    dict(type='mmparts.FindForeground'),
    dict(type='mmparts.RandomPatch', size=patch_size),
    dict(type='mmparts.RandomSpatial', elastic=(4.0, 24.0)),
    *_base_.intensity_changes,
    dict(type='mmparts.RandomMirror'),
    _base_.pack,
]
test_pipeline = [_base_.load_image, orient, window, _base_.load_label, _base_.pack]
train_dataloader = dict(batch_size=2, sampler=dict(draws=28), dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(empty_rule='vtunet', spacing_aware=True)
test_evaluator = val_evaluator

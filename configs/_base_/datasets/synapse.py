# Eight organs of BTCV by TransUNet's protocol: 18 cases train and 12 validate, 2-D slices of 224 x 224, HU from -125 to
# 275. HD95 is in voxels and empty sets count as in TransUNet's code, for comparison only: spacing_aware=True is right.
_base_ = './volumes.py'
data_root = 'data/synapse/'
crop_size = (224, 224)
metainfo = dict(
    labels=dict(
        background=(0, 5, 9, 10, 12, 13),  # organs that TransUNet leaves out
        aorta=8,
        gallbladder=4,
        left_kidney=3,
        right_kidney=2,
        liver=6,
        pancreas=11,
        spleen=1,
        stomach=7,
    )
)
val_numbers = (1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38)
train_numbers = (5, 6, 7, 9, 10, 21, 23, 24, 26, 27, 28, 30, 31, 33, 34, 37, 39, 40)
window = dict(type='mmparts.WindowIntensity', low=-125, high=275)

train_pipeline = [
    *_base_.load,
    window,
    dict(type='mmparts.RandomSlice'),
    dict(type='mmseg.RandomRotFlip', rotate_prob=0.5, flip_prob=0.5, degree=20),
    dict(type='mmseg.Resize', scale=crop_size, keep_ratio=False, interpolation='bicubic'),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [_base_.load_image, window, _base_.load_label, _base_.pack]
dataset = dict(data_root=data_root, layout='synapse', metainfo=metainfo, part=None)
train_dataloader = dict(
    batch_size=24,
    sampler=dict(draws=120),  # 2,211 slices in 18 cases
    dataset=dict(**dataset, cases=[f'case{number:04d}' for number in train_numbers], pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(**dataset, cases=[f'case{number:04d}' for number in val_numbers], pipeline=test_pipeline)
)
test_dataloader = val_dataloader

val_evaluator = dict(empty_rule='transunet', spacing_aware=False)
test_evaluator = val_evaluator

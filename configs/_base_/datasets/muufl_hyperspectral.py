# MUUFL Gulfport, 64 bands, five materials (unnamed in the source): rows 0 to 44 train, 45 to 59 validate.
# Bands are scaled over the whole scene, as all that a sensor has seen is known before any label is.
_base_ = './cubes.py'
data_root = 'data/muufl_hyperspectral/'
metainfo = dict(classes=('endmember0', 'endmember1', 'endmember2', 'endmember3', 'endmember4'))
load_cube = dict(type='mmparts.LoadCube', array='cube')
crop_size = (16, 16)

train_pipeline = [
    load_cube,
    dict(type='mmparts.TileMosaic', size=crop_size),
    dict(type='mmseg.RandomCrop', crop_size=crop_size),
    dict(type='mmseg.RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    _base_.pack,
]
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        files=[dict(img_path='muufl_dev.npz', rows=(0, 45))],
        repeats=64,
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        files=[dict(img_path='muufl_dev.npz', rows=(45, 60))],
        pipeline=[load_cube, _base_.pack],
    )
)
test_dataloader = val_dataloader

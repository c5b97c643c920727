# Generated hyperspectral scenes of 32 bands (tools/make_phantoms.py): 16 train, every fifth validates.
_base_ = './cubes.py'
data_root = 'data/phantoms/cubes/'
metainfo = dict(classes=('water', 'soil', 'grass', 'roof', 'road'))
files = [f'cube_{index:03d}.npz' for index in range(20)]

train_pipeline = [
    _base_.load_cube,
    dict(type='mmseg.RandomCrop', crop_size=(24, 24)),
    dict(type='mmseg.RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    _base_.pack,
]
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        files=[name for index, name in enumerate(files) if index % 5],
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo, files=files[::5]))
test_dataloader = val_dataloader

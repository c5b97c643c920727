# SpecTr of 2021 on the materials of MUUFL Gulfport, narrow enough for one core.
_base_ = [
    '../_base_/models/spectr.py',
    '../_base_/datasets/muufl_hyperspectral.py',
    '../_base_/schedules/schedule_volume_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=64,
    num_classes=5,
    encoder=dict(channels=(8, 16, 32, 64), num_heads=2, num_groups=1, dropout=0.0),
    decoder=dict(level=dict(block=dict(type='mmparts.CubeConvs', num_groups=1))),
    head=dict(_delete_=True, type='mmparts.SpectralSoftmaxHead', dims=3),
    terms=[dict(type='mmparts.CrossEntropyTerm'), dict(type='mmparts.SoftDiceTerm', smooth_nr=1.0, smooth_dr=1.0)],
    inference=dict(type='mmparts.SlidingInference', size=_base_.crop_size),
)
train_dataloader = dict(batch_size=2, dataset=dict(repeats=256))
optim_wrapper = dict(optimizer=dict(lr=3e-3))
train_cfg = dict(max_epochs=20, val_interval=5)

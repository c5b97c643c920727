# SpecTr of 2021 on the materials of MUUFL Gulfport, for minutes on one core: reaches what the folder README measures.
# How bright a pixel is tells materials apart: no norm subtracts what a patch has in common, and two levels are enough.
_base_ = [
    '../_base_/models/spectr.py',
    '../_base_/datasets/muufl_hyperspectral.py',
    '../_base_/schedules/schedule_volume_small.py',
    '../_base_/segmentation_runtime.py',
]
init = dict(type='Kaiming', layer='Conv3d', mode='fan_in', distribution='normal')  # of deep nets without norms
model = dict(
    in_channels=64,
    num_classes=5,
    encoder=dict(channels=(16, 32), num_heads=2, num_groups=None, dropout=0.0, init_cfg=init),
    decoder=dict(level=dict(block=dict(type='mmparts.CubeConvs', num_groups=None)), init_cfg=init),
    head=dict(_delete_=True, type='mmparts.SpectralSoftmaxHead', dims=3),
    terms=[dict(type='mmparts.CrossEntropyTerm'), dict(type='mmparts.SoftDiceTerm', smooth_nr=1.0, smooth_dr=1.0)],
    inference=dict(type='mmparts.WholeInference', mirror_axes=(0, 1)),
)
train_dataloader = dict(batch_size=2, dataset=dict(repeats=256))
optim_wrapper = dict(optimizer=dict(lr=6e-3))
train_cfg = dict(max_epochs=20, val_interval=5)

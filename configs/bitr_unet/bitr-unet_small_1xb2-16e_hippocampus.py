# BiTr-Unet, small, on the hippocampus.
_base_ = [
    '../_base_/models/bitr_unet.py',
    '../_base_/datasets/msd_hippocampus.py',
    '../_base_/schedules/schedule_volume_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=1,
    num_classes=3,
    encoder=dict(channels=(8, 16, 24, 32, 64), stem=[dict(type='mmparts.DroppedConv', out_channels=8)]),
    bottleneck=dict(
        coarse=dict(size=(2, 3, 2), embed_dims=64, num_layers=2, num_heads=4, mlp_dims=128),
        fine=dict(size=(4, 6, 2), embed_dims=96, num_layers=2, num_heads=4, mlp_dims=192),
    ),
    terms=[dict(type='mmparts.SoftDiceTerm'), dict(type='mmparts.CrossEntropyTerm')],
    inference=dict(size=(32, 48, 32), batch_size=8),
)
train_cfg = dict(max_epochs=16, val_interval=8)

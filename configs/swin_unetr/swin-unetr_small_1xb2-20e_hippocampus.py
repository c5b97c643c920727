# Swin UNETR, small, on the hippocampus.
_base_ = [
    '../_base_/models/swin_unetr.py',
    '../_base_/datasets/msd_hippocampus.py',
    '../_base_/schedules/schedule_volume_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=1,
    head=dict(_delete_=True, type='mmparts.SoftmaxHead', num_classes=3),
    terms=[dict(type='mmparts.SoftDiceTerm'), dict(type='mmparts.CrossEntropyTerm')],
    encoder=dict(embed_dims=12, depths=(2, 2, 2), num_heads=(1, 2, 4), window_size=4),
    inference=dict(size=(32, 48, 32), batch_size=8),
)
train_cfg = dict(max_epochs=20, val_interval=10)

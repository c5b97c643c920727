# VT-UNet, smaller than T, on the hippocampus.
_base_ = [
    '../_base_/models/vt_unet.py',
    '../_base_/datasets/msd_hippocampus.py',
    '../_base_/schedules/schedule_volume_small.py',
    '../_base_/segmentation_runtime.py',
]
sizes = dict(depths=(2, 2, 1), num_heads=(3, 6, 12), window_size=4, patch_size=(2, 4, 4), drop_path=0.0)
model = dict(
    in_channels=1,
    head=dict(_delete_=True, type='mmparts.SoftmaxHead', num_classes=3, bias=False),
    terms=[dict(type='mmparts.SoftDiceTerm', over_batch=True), dict(type='mmparts.CrossEntropyTerm')],
    encoder=dict(embed_dims=48, **sizes),
    decoder=sizes,
    inference=dict(size=(32, 48, 32), batch_size=8),
)
train_cfg = dict(max_epochs=20, val_interval=10)

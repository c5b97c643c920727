# TransUNet, small, on slices of generated phantoms (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/trans_unet.py',
    '../_base_/datasets/phantoms_slices.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=4,
    num_classes=4,
    encoder=dict(depths=(1, 1, 1), width=32),
    bottleneck=dict(size=2, embed_dims=64, num_layers=2, num_heads=4, mlp_dims=128),
    decoder=dict(stem=[dict(type='mmparts.DoubleConv', num_convs=1, out_channels=64)], channels=(64, 32, 32, 16)),
    inference=dict(size=(32, 32), back='bilinear'),
    restore=dict(type='mmparts.RestoreVolume'),
)
auto_scale_lr = dict(base_batch_size=8)

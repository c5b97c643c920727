# Swin-Unet, small, on slices of generated phantoms (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/swin_unet.py',
    '../_base_/datasets/phantoms_slices.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
sizes = dict(depths=(2, 2, 2), num_heads=(2, 4, 8), window_size=4, patch_size=2, drop_path=0.0)
model = dict(
    in_channels=4,
    num_classes=4,
    encoder=dict(embed_dims=32, **sizes),
    decoder=sizes,
    inference=dict(size=(32, 32), back='bilinear'),
    restore=dict(type='mmparts.RestoreVolume'),
)
auto_scale_lr = dict(base_batch_size=8)

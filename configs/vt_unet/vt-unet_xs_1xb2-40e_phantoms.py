# VT-UNet, smaller than T, on generated nested ellipsoids (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/vt_unet.py',
    '../_base_/datasets/phantoms_nested.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    encoder=dict(embed_dims=24, depths=(2, 2, 1), num_heads=(2, 4, 8), window_size=4, patch_size=2, drop_path=0.0),
    decoder=dict(depths=(2, 2, 1), num_heads=(2, 4, 8), window_size=4, patch_size=2, drop_path=0.0),
    inference=dict(size=(32, 32, 32)),
)

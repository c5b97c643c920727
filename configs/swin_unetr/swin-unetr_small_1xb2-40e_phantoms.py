# Swin UNETR, small, on generated nested ellipsoids (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/swin_unetr.py',
    '../_base_/datasets/phantoms_nested.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    encoder=dict(embed_dims=12, depths=(2, 2, 2), num_heads=(1, 2, 4), window_size=4), inference=dict(size=(32, 32, 32))
)

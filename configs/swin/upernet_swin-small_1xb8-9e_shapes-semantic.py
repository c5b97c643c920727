# UPerNet on a small Swin, from scratch on the generated set.
_base_ = [
    '../_base_/models/upernet_small.py',
    '../_base_/datasets/shapes_semantic.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    encoder=dict(
        type='mmparts.Swin',
        arch=dict(embed_dims=32, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8)),
        window_size=4,
        drop_path=0.0,
    )
)

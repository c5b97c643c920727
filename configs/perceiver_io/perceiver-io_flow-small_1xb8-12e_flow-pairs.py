# A small Perceiver IO for optical flow on generated moving shapes.
_base_ = [
    '../_base_/models/perceiver_io_flow.py',
    '../_base_/datasets/flow_pairs.py',
    '../_base_/schedules/schedule_arrays_small.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    backbone=dict(
        inputs=dict(features=dict(embed_dims=64), position=dict(num_bands=16, max_resolution=(48, 64))),
        encoder=dict(num_latents=96, embed_dims=128, num_layers=4, num_heads=8),
        decoder=dict(zero_init=False),
    ),
    tile=(48, 64),
    overlap=8,
    output_scale=1.0,
    flow_scale=5.0,
)
default_hooks = dict(checkpoint=dict(save_best='epe', rule='less'))

# A small Perceiver IO for optical flow on generated moving shapes, in frames of 24 x 32 pixels. Other than the large
# one it adds the queries to what they find, in several heads: so it learns from thousands of pairs, not from millions.
_base_ = [
    '../_base_/models/perceiver_io_flow.py',
    '../_base_/datasets/flow_pairs.py',
    '../_base_/schedules/schedule_arrays_small.py',
    '../_base_/classification_runtime.py',
]
size = (24, 32)
heads = dict(qk_dims=128, v_dims=128)
model = dict(
    backbone=dict(
        inputs=dict(features=dict(embed_dims=64), position=dict(num_bands=16, max_resolution=size)),
        encoder=dict(num_latents=96, embed_dims=128, num_layers=4, num_heads=8, cross_heads=8, **heads),
        decoder=dict(num_heads=8, query_residual=True, widening=2, zero_init=False, **heads),
    ),
    tile=size,
    overlap=8,
    output_scale=1.0,
    flow_scale=2.5,
)
train_pipeline = [{{_base_.load}}, dict(type='mmparts.FlowCrop', size=size, flip=(0.5, 0.5)), {{_base_.pack}}]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
default_hooks = dict(checkpoint=dict(save_best='epe', rule='less'))

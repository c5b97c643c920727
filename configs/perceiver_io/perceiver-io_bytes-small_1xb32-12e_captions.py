# A small Perceiver IO that fills gaps in sentences about shapes, 64 bytes at a time.
_base_ = [
    '../_base_/models/perceiver_io_bytes.py',
    '../_base_/datasets/text_files.py',
    '../_base_/schedules/schedule_arrays_small.py',
    '../_base_/classification_runtime.py',
]
max_length = 64
model = dict(
    backbone=dict(
        inputs=dict(embed_dims=96, max_length=max_length),
        encoder=dict(num_latents=48, embed_dims=128, num_layers=4, num_heads=4, cross_heads=4, qk_dims=64, v_dims=128),
        queries=dict(num_queries=max_length, embed_dims=96),
        decoder=dict(num_heads=4, qk_dims=64, v_dims=96),
    )
)
load = dict(type='mmparts.LoadText', max_length=max_length)
pack = dict(type='mmparts.PackText')
train_dataloader = dict(
    batch_size=32,
    dataset=dict(max_length=max_length, pipeline=[load, dict(type='mmparts.MaskBytes', words=True), pack]),
)
val_dataloader = dict(
    batch_size=32,
    dataset=dict(max_length=max_length, pipeline=[load, dict(type='mmparts.MaskBytes', words=True, seed=0), pack]),
)
test_dataloader = val_dataloader

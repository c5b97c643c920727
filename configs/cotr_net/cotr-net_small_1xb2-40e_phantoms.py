# COTR-Net, our interpretation, small, on generated nested ellipsoids (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/cotr_net.py',
    '../_base_/datasets/phantoms_nested.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=4,
    data_preprocessor=dict(size_divisor=(8, 16, 16)),
    encoder=dict(channels=(16, 32, 64, 96), depths=(1, 1, 1, 1), embed_dims=48, num_heads=4, tokens=(4, 4, 4)),
    inference=dict(size=(32, 32, 32)),
)

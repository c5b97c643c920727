# UNETR, small, on the hippocampus.
_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/msd_hippocampus.py',
    '../_base_/schedules/schedule_volume_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    num_classes=3,
    encoder=dict(image_size=(32, 48, 32), embed_dims=96, num_layers=4, num_heads=4, mlp_dims=192, taps=(0, 1, 2)),
    decoder=dict(feature_dims=8),
    inference=dict(size=(32, 48, 32), batch_size=8),
)

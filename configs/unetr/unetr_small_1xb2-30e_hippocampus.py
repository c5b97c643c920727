# UNETR, small, on the hippocampus, whose parts are too small for patches of 16^3: here 8^3.
_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/msd_hippocampus.py',
    '../_base_/schedules/schedule_volume_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    num_classes=3,
    encoder=dict(
        image_size=(32, 48, 32), patch_size=8, embed_dims=192, num_layers=4, num_heads=6, mlp_dims=384, taps=(1, 2)
    ),
    decoder=dict(feature_dims=8),
    inference=dict(size=(32, 48, 32), batch_size=8),
)
train_cfg = dict(max_epochs=30, val_interval=10)

# nnFormer, small, deep supervision, on the hippocampus.
_base_ = [
    '../_base_/models/nn_former.py',
    '../_base_/datasets/msd_hippocampus.py',
    '../_base_/schedules/schedule_volume_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=1,
    num_classes=3,
    encoder=dict(
        embed_dims=32,
        depths=(2, 2, 2),
        num_heads=(2, 4, 8),
        windows=(4, 4, 4),
        stem_strides=((2, 2, 2), (1, 1, 1)),
        merge_strides=((2, 2, 2), (2, 2, 2)),
        drop_path=0.0,
    ),
    decoder=dict(depths=(2, 2), num_heads=(2, 4), windows=(4, 4), drop_path=0.0, num_outputs=2),
    head=dict(patch_size=2),
    inference=dict(size=(32, 48, 32), batch_size=8),
)
train_cfg = dict(max_epochs=20, val_interval=10)

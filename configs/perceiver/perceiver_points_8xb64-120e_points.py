# Perceiver on point clouds of 2,048 points with Fourier features of their coordinates. ModelNet40 85.7 (paper).
_base_ = [
    '../_base_/datasets/point_sets.py',
    '../_base_/schedules/schedule_lamb_120e.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    type='mmparts.SetClassifier',
    data_preprocessor=dict(type='mmparts.PadPreprocessor'),
    backbone=dict(
        type='mmparts.Perceiver',
        inputs=dict(
            type='mmparts.PointInput',
            position=dict(type='mmparts.FourierPosition', num_bands=64, max_resolution=(1120, 1120, 1120)),
        ),
        encoder=dict(
            type='mmparts.LatentEncoder',
            num_latents=128,
            embed_dims=512,
            num_blocks=2,
            num_layers=6,
            num_heads=8,
            num_cross_attends=2,
        ),
    ),
    num_classes=40,
)
train_dataloader = dict(batch_size=64, dataset=dict(metainfo=dict(_delete_=True)))
val_dataloader = dict(dataset=dict(metainfo=dict(_delete_=True)))
test_dataloader = val_dataloader

# Perceiver on point clouds of 2,048 points with Fourier features of their coordinates. ModelNet40 85.7 (paper).
# Section 4.3: the rate stays, 50,000 steps of 512 clouds are enough; decay and clipping are those of ImageNet.
_base_ = [
    '../_base_/datasets/point_sets.py',
    '../_base_/schedules/schedule_lamb_iters.py',
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
train_dataloader = dict(
    batch_size=64,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(metainfo=dict(_delete_=True)),
)
val_dataloader = dict(dataset=dict(metainfo=dict(_delete_=True)))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=50000, val_interval=1000)
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.1))
param_scheduler = []  # the rate stays
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)

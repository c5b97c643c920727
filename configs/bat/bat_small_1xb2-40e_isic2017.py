# BAT, small, by heart on four skin lesions (no accuracy goal).
_base_ = [
    '../_base_/models/bat.py',
    '../_base_/datasets/isic2017.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    encoder=dict(depth=18, base_channels=16, init_cfg=None),
    bottleneck=dict(embed_dims=32, num_layers=2, num_heads=4, mlp_dims=64, cross_dims=64, num_queries=4),
    decoder=dict(channels=32),
    terms=[
        dict(type='mmparts.SoftDiceTerm', squared=True, over_batch=True),
        dict(type='mmparts.KeyPointTerm', subsample=1),
    ],
)
train_dataloader = dict(batch_size=2)

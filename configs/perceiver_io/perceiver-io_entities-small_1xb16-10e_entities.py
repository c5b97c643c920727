# A small Perceiver IO on sets of units, an output for each: in place of the entity transformer of StarCraft II.
_base_ = [
    '../_base_/datasets/entity_sets.py',
    '../_base_/schedules/schedule_arrays_small.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    type='mmparts.SetClassifier',
    data_preprocessor=dict(type='mmparts.PadPreprocessor'),
    backbone=dict(
        type='mmparts.Perceiver',
        inputs=dict(type='mmparts.EntityInput', point_dims=5, embed_dims=128),
        encoder=dict(
            type='mmparts.LatentEncoder',
            num_latents=32,
            embed_dims=128,
            num_blocks=1,
            num_layers=3,
            num_heads=4,
            cross_heads=4,
        ),
        queries=dict(type='mmparts.InputQueries'),
        decoder=dict(type='mmparts.LatentDecoder', num_heads=4, query_residual=True),
    ),
    num_classes=2,
)
train_cfg = dict(max_epochs=10, val_interval=5)

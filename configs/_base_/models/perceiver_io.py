# The Perceiver IO of ImageNet: one cross-attend, eight blocks of six layers that share their weights, one output query.
_base_ = './perceiver.py'
model = dict(
    backbone=dict(
        encoder=dict(num_cross_attends=1),
        queries=dict(type='mmparts.VectorQueries', num_queries=1, embed_dims=1024),
        decoder=dict(type='mmparts.LatentDecoder', query_residual=True),
    )
)

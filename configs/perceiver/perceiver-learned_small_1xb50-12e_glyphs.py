# A small Perceiver on pixels with learned positions, single shapes: the raw images of the permutation table.
_base_ = './perceiver-fourier_small_1xb50-12e_glyphs.py'
model = dict(
    backbone=dict(
        position=dict(_delete_=True, type='mmparts.LearnedPosition', size=(16, 16), embed_dims=29),
        backbone=dict(inputs=dict(features=dict(in_channels=32))),
    )
)

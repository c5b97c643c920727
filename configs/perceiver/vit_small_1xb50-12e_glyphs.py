# A small ViT on pixels with Fourier features, single shapes: the raw images of the permutation table.
_base_ = './perceiver-fourier_small_1xb50-12e_glyphs.py'
model = dict(
    backbone=dict(
        backbone=dict(
            _delete_=True,
            type='mmparts.ViT',
            arch=dict(embed_dims=96, num_layers=4, num_heads=3),
            patch_size=2,
            image_size=16,
            in_channels=37,
            out='class',
        ),
        double=False,
    )
)

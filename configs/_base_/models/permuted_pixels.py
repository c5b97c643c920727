# A small Perceiver that reads pixels with Fourier features beside them; `seed` permutes both.
_base_ = './classifier.py'
model = dict(
    backbone=dict(
        type='mmparts.PermutedPixels',
        size=(16, 16),
        position=dict(type='mmparts.FourierPosition', num_bands=8, max_resolution=(16, 16)),
        backbone=dict(
            type='mmparts.Perceiver',
            inputs=dict(type='mmparts.MapInput', features=dict(type='mmparts.Pixels', in_channels=37)),
            encoder=dict(
                type='mmparts.LatentEncoder',
                num_latents=32,
                embed_dims=96,
                num_blocks=3,
                num_layers=2,
                num_heads=4,
                num_cross_attends=3,
            ),
        ),
        double=True,
    ),
    num_classes=6,
)

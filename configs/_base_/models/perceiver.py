# The Perceiver of ImageNet: pixels with Fourier features, eight times {cross-attend, six layers}.
_base_ = './classifier.py'
model = dict(
    backbone=dict(
        type='mmparts.Perceiver',
        inputs=dict(
            type='mmparts.MapInput',
            features=dict(type='mmparts.Pixels'),
            position=dict(type='mmparts.FourierPosition', num_bands=64, max_resolution=(224, 224)),
        ),
        encoder=dict(
            type='mmparts.LatentEncoder',
            num_latents=512,
            embed_dims=1024,
            num_blocks=8,
            num_layers=6,
            num_heads=8,
            num_cross_attends=8,
        ),
        decoder=dict(type='mmparts.MeanDecoder'),
    ),
    loss=dict(label_smoothing=0.1),
)

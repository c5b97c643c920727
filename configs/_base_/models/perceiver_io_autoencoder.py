# Perceiver IO that restores videos of 16 frames, their sound and their class from 784 latents.
model = dict(
    type='mmparts.MultimodalAutoencoder',
    data_preprocessor=dict(type='mmparts.StackPreprocessor', scale=dict(image=1 / 255)),
    backbone=dict(
        type='mmparts.Perceiver',
        inputs=dict(
            type='mmparts.MultimodalInput',
            inputs=dict(
                audio=dict(
                    type='mmparts.AudioInput',
                    patch=16,
                    num_samples=30720,
                    position=dict(type='mmparts.FourierPosition', num_bands=192, max_resolution=(30720,)),
                ),
                image=dict(
                    type='mmparts.MapInput',
                    features=dict(type='mmparts.SpaceToDepth', block=(1, 4, 4)),
                    position=dict(type='mmparts.FourierPosition', num_bands=32, max_resolution=(16, 56, 56)),
                ),
                label=dict(type='mmparts.LabelInput', num_classes=700),
            ),
            min_padding=4,
            mask_rates=dict(audio=0.0, image=0.0, label=1.0),
        ),
        encoder=dict(
            type='mmparts.LatentEncoder', num_latents=784, embed_dims=512, num_blocks=1, num_layers=8, num_heads=8
        ),
        queries=dict(
            type='mmparts.MultimodalQueries',
            queries=dict(
                audio=dict(
                    type='mmparts.PositionQueries',
                    size=(1920,),
                    position=dict(
                        type='mmparts.FourierPosition', num_bands=192, max_resolution=(30720,), spacing='half-open'
                    ),
                ),
                image=dict(
                    type='mmparts.PositionQueries',
                    size=(16, 224, 224),
                    position=dict(
                        type='mmparts.FourierPosition', num_bands=32, max_resolution=(16, 56, 56), spacing='half-open'
                    ),
                ),
                label=dict(type='mmparts.VectorQueries', num_queries=1, embed_dims=1024),
            ),
            min_padding=2,
        ),
        decoder=dict(type='mmparts.LatentDecoder', out_dims=512),
    ),
    num_classes=700,
    points=dict(audio=512, image=512),
)

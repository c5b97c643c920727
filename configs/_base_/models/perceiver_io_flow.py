# Perceiver IO for optical flow: the inputs are the output queries.
model = dict(
    type='mmparts.FlowEstimator',
    data_preprocessor=dict(type='mmparts.StackPreprocessor', scale=1 / 127.5, shift=-1.0),
    backbone=dict(
        type='mmparts.Perceiver',
        inputs=dict(
            type='mmparts.MapInput',
            features=dict(type='mmparts.FramePatches', embed_dims=64),
            position=dict(type='mmparts.FourierPosition', num_bands=64, max_resolution=(368, 496)),
        ),
        encoder=dict(
            type='mmparts.LatentEncoder', num_latents=2048, embed_dims=512, num_blocks=1, num_layers=24, num_heads=16
        ),
        queries=dict(type='mmparts.InputQueries'),
        decoder=dict(type='mmparts.LatentDecoder', out_dims=2, zero_init=True),
    ),
    tile=(368, 496),
    overlap=20,
)

# Perceiver IO on the bytes of texts, to fill gaps.
model = dict(
    type='mmparts.MaskedBytes',
    data_preprocessor=dict(type='mmparts.PadPreprocessor'),
    backbone=dict(
        type='mmparts.Perceiver',
        inputs=dict(type='mmparts.BytesInput', vocab_size=262, embed_dims=768, max_length=2048),
        encoder=dict(
            type='mmparts.LatentEncoder',
            num_latents=256,
            embed_dims=1280,
            num_blocks=1,
            num_layers=26,
            num_heads=8,
            cross_heads=8,
            qk_dims=256,
            v_dims=1280,
        ),
        queries=dict(type='mmparts.VectorQueries', num_queries=2048, embed_dims=768, follow=True),
        decoder=dict(type='mmparts.LatentDecoder', num_heads=8, qk_dims=256, v_dims=768),
    ),
)

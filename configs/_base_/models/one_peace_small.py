# A ONE-PEACE of a few minutes: images of 64 pixels, texts of bytes, sounds at 8 kHz; all three are trained together.
# There are few texts, so that equal ones meet in a batch.
_base_ = './one_peace.py'
arch = dict(embed_dims=96, num_layers=4, num_heads=4, mlp_dims=192)
keys = dict(type='mmparts.EqualTextKeys', gradient=False)
projection = dict(type='mmparts.LinearProjection', out_dims=64)
model = dict(
    data_preprocessor=dict(
        inputs=dict(
            text=dict(
                prefix='the digit is ', tokenizer=dict(_delete_=True, type='mmparts.ByteTokenizer', context_length=32)
            )
        )
    ),
    towers=dict(
        image=dict(arch=arch, image_size=64),
        text=dict(arch=arch, vocab_size=262, max_length=64),
        audio=dict(arch=arch, conv_dims=64, num_places=2),
    ),
    fusion=dict(arch=arch, drop_path=0.1, layer_scale=0.1),
    projections=dict(image=projection, text=projection, audio=projection),
    objectives=dict(
        contrastive=dict(keys=keys),
        sound=dict(
            type='mmparts.Contrastive',
            between=('text', 'audio'),
            keys=keys,
            scale=dict(type='mmparts.LogitScale', least=1.0),
        ),
        denoising=dict(
            type='mmparts.DenoisingContrast',
            kinds={
                'image': 1.0,
                'audio': 1.0,
                'text+image:text': 0.5,
                'text+image:image': 0.5,
                'text+audio:text': 0.5,
                'text+audio:audio': 0.5,
            },
            decoder=dict(embed_dims=64, num_layers=1, num_heads=4, mlp_dims=128),
            rows=dict(image=17, text=64, audio=64),
        ),
    ),
)

# BEiT-3 base at 224: a Multiway transformer over patches and words; its core has 220,987,392 parameters. A base of a
# task stands on it.
model = dict(
    type='mmparts.MultimodalModel',
    data_preprocessor=dict(
        type='mmparts.MultimodalPreprocessor',
        inputs=dict(
            image=dict(type='mmparts.ImageInputs', mean=[127.5] * 3, std=[127.5] * 3),
            text=dict(
                type='mmparts.TextInputs', tokenizer=dict(type='mmparts.SentencePieceTokenizer', context_length=64)
            ),
        ),
    ),
    towers=dict(image=dict(type='mmparts.PatchTower', arch='base'), text=dict(type='mmparts.WordTower', arch='base')),
    fusion=dict(type='mmparts.MultiwayFusion', arch='base', image_size=224),
)

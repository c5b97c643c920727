# What all BLIPs have in common: a ViT whose tokens are looked at, and BERT's tokenizer with two more tokens.
model = dict(
    type='mmparts.MultimodalModel',
    data_preprocessor=dict(
        type='mmparts.MultimodalPreprocessor',
        inputs=dict(
            image=dict(type='mmparts.ImageInputs'),
            text=dict(
                type='mmparts.TextInputs',
                tokenizer=dict(type='mmparts.BertTokenizer', extra=('[DEC]', '[ENC]'), context_length=40),
            ),
        ),
    ),
    towers=dict(
        image=dict(
            type='mmparts.ImageTower', backbone=dict(type='mmparts.ViT', arch='base', out='tokens', resize='dinov2')
        )
    ),
)

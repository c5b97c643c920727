# What all CLIPs have in common; a base of an image tower stands on it. Text tower of the B/32 and RN50 models.
model = dict(
    type='mmparts.MultimodalModel',
    data_preprocessor=dict(
        type='mmparts.MultimodalPreprocessor',
        inputs=dict(
            image=dict(type='mmparts.ImageInputs'),
            text=dict(type='mmparts.TextInputs', tokenizer=dict(type='mmparts.ClipTokenizer')),
        ),
    ),
    towers=dict(
        image=dict(type='mmparts.ImageTower'), text=dict(type='mmparts.CausalTextTower', embed_dims=512, num_layers=12)
    ),
    objectives=dict(contrastive=dict(type='mmparts.Contrastive')),
)

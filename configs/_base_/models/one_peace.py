# ONE-PEACE: image, text and sound through one attention of 40 layers; 3,884,740,545 parameters with its projections and
# the scale. A base of a stage or task stands on it.
model = dict(
    type='mmparts.MultimodalModel',
    data_preprocessor=dict(
        type='mmparts.MultimodalPreprocessor',
        inputs=dict(
            image=dict(type='mmparts.ImageInputs'),
            text=dict(
                type='mmparts.TextInputs',
                prefix=' ',
                lowercase=True,
                tokenizer=dict(type='mmparts.RobertaTokenizer', frame=False, context_length=70),
            ),
            audio=dict(type='mmparts.WaveInputs'),
        ),
    ),
    towers=dict(
        image=dict(type='mmparts.StemTower'),
        text=dict(type='mmparts.PlacedWords', vocab_size=50264),
        audio=dict(type='mmparts.WaveTower'),
    ),
    fusion=dict(type='mmparts.SharedFusion'),
    projections=dict(
        image=dict(type='mmparts.LinearProjection', out_dims=1536),
        text=dict(type='mmparts.LinearProjection', out_dims=1536),
        audio=dict(type='mmparts.LinearProjection', out_dims=1536),
    ),
    objectives=dict(
        contrastive=dict(
            type='mmparts.Contrastive',
            keys=dict(type='mmparts.BatchKeys', gradient=False),
            scale=dict(type='mmparts.LogitScale', least=1.0),
        )
    ),
)

# VisualBERT over regions of 2,048 features: 111,450,624 parameters before the heads. A base of a task stands on it.
model = dict(
    type='mmparts.MultimodalModel',
    data_preprocessor=dict(
        type='mmparts.MultimodalPreprocessor',
        inputs=dict(
            text=dict(type='mmparts.TextInputs', tokenizer=dict(type='mmparts.BertTokenizer', context_length=128)),
            regions=dict(type='mmparts.RegionInputs', dims=2048),
        ),
    ),
    towers=dict(text=dict(type='mmparts.BertWords'), regions=dict(type='mmparts.RegionTower', dims=2048)),
    fusion=dict(type='mmparts.OneStream'),
)

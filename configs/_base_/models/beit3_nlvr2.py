# BEiT-3 that says whether a sentence is true of two images; base at 224: 225,719,810 parameters.
_base_ = './beit3.py'
model = dict(
    data_preprocessor=dict(inputs=dict(image=dict(type='mmparts.ImagePairInputs'))),
    fusion=dict(drop_path=0.2),
    objectives=dict(
        reasoning=dict(
            type='mmparts.PairReasoning',
            head=dict(type='mmparts.JointHead', norm_first=True, hidden_dims=1536, norm_hidden=True, last_scale=0.001),
        )
    ),
    inference=dict(type='mmparts.TruthOfPairs'),
)

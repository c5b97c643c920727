# ONE-PEACE that says whether a sentence is true of two images: each is read with the sentence, and a query looks at the
# words of either pass. Vectors of their type tell words, images and second images apart; 2,743,525,250 parameters.
_base_ = './one_peace_retrieval.py'
model = dict(
    data_preprocessor=dict(inputs=dict(image=dict(type='mmparts.ImagePairInputs'))),
    towers=dict(image=dict(types=2), text=dict(types=1)),
    fusion=dict(drop_path=0.4),
    projections=None,
    objectives=dict(
        _delete_=True,
        reasoning=dict(
            type='mmparts.PairReasoning',
            read=dict(type='mmparts.QueryPooling', norm=True),
            head=dict(type='mmparts.JointHead', hidden_dims=3072, norm_hidden=True),
        ),
    ),
    inference=dict(type='mmparts.TruthOfPairs'),
)

# VisualBERT that says whether a sentence is true of two images; the regions of both are one sequence, told apart by
# their type.
_base_ = './visual_bert.py'
model = dict(
    data_preprocessor=dict(inputs=dict(regions=dict(dims=1024))),
    towers=dict(regions=dict(dims=1024)),
    objectives=dict(
        reasoning=dict(
            type='mmparts.JointClasses',
            between=('text', 'regions'),
            num_classes=2,
            head=dict(type='mmparts.JointHead', dropout=0.1),
        )
    ),
    inference=dict(type='mmparts.TruthOfPairs'),
)

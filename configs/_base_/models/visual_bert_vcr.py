# VisualBERT that chooses the best of four answers, or of four reasons.
_base_ = './visual_bert.py'
model = dict(
    data_preprocessor=dict(inputs=dict(regions=dict(dims=512))),
    towers=dict(regions=dict(dims=512)),
    objectives=dict(choice=dict(type='mmparts.MultipleChoice')),
    inference=dict(type='mmparts.ChosenText'),
)

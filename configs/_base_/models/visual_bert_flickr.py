# VisualBERT that finds the regions which the phrases of a sentence mean.
_base_ = './visual_bert.py'
model = dict(
    data_preprocessor=dict(inputs=dict(regions=dict(dims=2054))),
    towers=dict(regions=dict(dims=2054)),
    fusion=dict(pooler=False),
    objectives=dict(phrases=dict(type='mmparts.PhraseRegions')),
    inference=dict(type='mmparts.FoundRegions'),
)

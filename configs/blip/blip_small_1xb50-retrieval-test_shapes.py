# The small BLIP finds images and texts: the best 50 by cosine are put in order by matching.
_base_ = './blip_small_1xb32-12e_shapes.py'
model = dict(inference=dict(_delete_=True, type='mmparts.MatchedEmbeddings'))
test_pipeline = [*_base_.load, dict(type='mmparts.PackMultimodal')]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
default_hooks = dict(matcher=dict(type='mmparts.MatcherHook'))
test_evaluator = [
    dict(type='mmparts.RetrievalRecall', prefix='cosine'),
    dict(type='mmparts.RerankedRecall', best=50, prefix='matched'),
]

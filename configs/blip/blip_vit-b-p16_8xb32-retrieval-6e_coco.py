# BLIP ViT-B/16 that finds images and texts of COCO; the best 256 by cosine are put in order by matching.
_base_ = [
    '../_base_/models/blip_retrieval.py',
    '../_base_/datasets/coco_captions.py',
    '../_base_/schedules/schedule_blip_tune.py',
    '../_base_/multimodal_runtime.py',
]
model = dict(inference=dict(type='mmparts.MatchedEmbeddings'))
train_cfg = dict(max_epochs=6)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=6)]
default_hooks = dict(matcher=dict(type='mmparts.MatcherHook'))
val_evaluator = dict(type='mmparts.RerankedRecall', best=256)
test_evaluator = val_evaluator

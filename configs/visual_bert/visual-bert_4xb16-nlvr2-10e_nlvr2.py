# VisualBERT that says whether a sentence is true of two images, whose regions are one sequence, in data/nlvr2/regions.
# NLVR2 dev 67.4 (paper).
_base_ = [
    '../_base_/models/visual_bert_nlvr2.py',
    '../_base_/datasets/nlvr2.py',
    '../_base_/schedules/schedule_visual_bert_10e.py',
    '../_base_/multimodal_runtime.py',
]
load = dict(type='mmparts.LoadRegions', folder='data/nlvr2/regions/', images='data/nlvr2/', most=72)
pipeline = [load, dict(type='mmparts.PackMultimodal', texts='first', keys=('regions',))]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader

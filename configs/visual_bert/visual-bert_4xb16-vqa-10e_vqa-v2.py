# VisualBERT that chooses among 3,129 answers (a file of them: --cfg-options model.objectives.answers.answers=FILE),
# with regions in data/vqa/regions. VQA v2 test-dev 70.80 (paper).
_base_ = [
    '../_base_/models/visual_bert_vqa.py',
    '../_base_/datasets/vqa_v2.py',
    '../_base_/schedules/schedule_visual_bert_10e.py',
    '../_base_/multimodal_runtime.py',
]
load = dict(type='mmparts.LoadRegions', folder='data/vqa/regions/', images='data/vqa/')
pipeline = [load, dict(type='mmparts.PackQuestion', keys=('regions',))]
train_dataloader = dict(dataset=dict(suffix=' [MASK]', pipeline=pipeline))
val_dataloader = dict(dataset=dict(suffix=' [MASK]', pipeline=pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(clip_grad=dict(max_norm=0.25))

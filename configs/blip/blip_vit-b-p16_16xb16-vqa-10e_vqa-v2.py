# BLIP ViT-B/16 that answers questions in words of its own. VQA v2 test-dev 78.25 (paper).
_base_ = [
    '../_base_/models/blip_vqa.py',
    '../_base_/datasets/vqa_v2.py',
    '../_base_/schedules/schedule_blip_tune.py',
    '../_base_/multimodal_runtime.py',
]
model = dict(towers=dict(image=dict(backbone=dict(drop_path=0.1))))
train_pipeline = [
    {{_base_.load}},
    {{_base_.crop}},
    {{_base_.flip}},
    {{_base_.changes}},
    dict(type='mmparts.PackQuestion', answers=True),
]
train_dataloader = dict(dataset=dict(weights='share', pipeline=train_pipeline))
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(lr=2e-5))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=10)]

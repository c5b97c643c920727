# BEiT-3 base that chooses among 3,129 answers (a file of them: --cfg-options model.objectives.answers.answers=FILE).
# VQA v2 test-dev 77.65 (paper).
_base_ = [
    '../_base_/models/beit3_vqa.py',
    '../_base_/datasets/vqa_v2.py',
    '../_base_/schedules/schedule_beit3.py',
    '../_base_/multimodal_runtime.py',
]
train_pipeline = [
    {{_base_.load}},
    {{_base_.crop}},
    {{_base_.flip}},
    dict(type='mmparts.RandomChanges', level=7, deviation=0.0, recolour=False, fill=(128, 128, 128)),
    {{_base_.pack}},
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(lr=3e-5, weight_decay=0.01), paramwise_cfg=dict(layer_decay=1.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=1 / 30, by_epoch=True, begin=1, end=10, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=128)

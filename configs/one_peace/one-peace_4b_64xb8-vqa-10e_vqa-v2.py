# ONE-PEACE that chooses among 3,129 answers (a file of them: --cfg-options model.objectives.answers.answers=FILE) at
# 256 pixels, from the pre-training (load_from). VQA v2 test-dev 82.6 (paper, also trained on Visual Genome).
_base_ = [
    '../_base_/models/one_peace_vqa.py',
    '../_base_/datasets/vqa_v2.py',
    '../_base_/schedules/schedule_one_peace_tune.py',
    '../_base_/multimodal_runtime.py',
]
resize = dict(type='mmcv.Resize', scale=(256, 256), interpolation='bicubic', backend='pillow')
pipeline = [{{_base_.load}}, resize, {{_base_.pack}}]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(lr=3e-4), paramwise_cfg=dict(layer_decay=0.85))
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 300, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=1 / 300, by_epoch=True, begin=1, end=10, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=512)

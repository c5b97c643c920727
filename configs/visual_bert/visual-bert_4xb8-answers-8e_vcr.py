# VisualBERT that chooses among four answers; VCR Q -> A 71.6 (paper). Reasons (QA -> R): --cfg-options
# train_dataloader.dataset.choose=reason val_dataloader.dataset.choose=reason, 12 epochs.
_base_ = [
    '../_base_/models/visual_bert_vcr.py',
    '../_base_/datasets/vcr.py',
    '../_base_/schedules/schedule_visual_bert_10e.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=0.8, convert_to_iter_based=True),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=True, begin=0.8, end=8, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=32)

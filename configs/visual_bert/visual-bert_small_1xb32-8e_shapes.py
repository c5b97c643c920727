# VisualBERT on generated images and regions of a small DINO: masked words are told from what the image shows.
_base_ = [
    '../_base_/models/visual_bert_small.py',
    '../_base_/datasets/shapes_caption_pairs.py',
    '../_base_/schedules/schedule_visual_bert_10e.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=8, val_interval=4)
val_cfg = dict(loss=True)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=True, begin=1, end=8, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=4, save_best='val/loss', rule='less'))
auto_scale_lr = dict(base_batch_size=32)

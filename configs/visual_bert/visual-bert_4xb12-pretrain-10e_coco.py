# VisualBERT pre-trained on COCO's captions with regions of a detector: masked words, and does the second caption match.
_base_ = [
    '../_base_/models/visual_bert_pretrain.py',
    '../_base_/datasets/caption_pairs.py',
    '../_base_/schedules/schedule_visual_bert_10e.py',
    '../_base_/multimodal_runtime.py',
]
val_cfg = dict(loss=True)
optim_wrapper = dict(optimizer=dict(lr=5e-5))
default_hooks = dict(checkpoint=dict(save_best='val/loss', rule='less'))
auto_scale_lr = dict(base_batch_size=48)

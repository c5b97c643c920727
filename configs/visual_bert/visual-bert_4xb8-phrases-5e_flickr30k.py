# VisualBERT that finds the regions which phrases mean; Flickr30K Entities R@1 71.33 on the test set (paper).
_base_ = [
    '../_base_/models/visual_bert_flickr.py',
    '../_base_/datasets/flickr30k_entities.py',
    '../_base_/schedules/schedule_visual_bert_10e.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=5)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=True, begin=0, end=0.5, convert_to_iter_based=True),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=True, begin=0.5, end=5, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=32)

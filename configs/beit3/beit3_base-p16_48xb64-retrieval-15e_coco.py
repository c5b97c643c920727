# BEiT-3 base that finds images and texts of COCO at 384 pixels. R@1 61.4 of images, 79.1 of texts (paper).
_base_ = [
    '../_base_/models/beit3_retrieval.py',
    '../_base_/datasets/coco_captions.py',
    '../_base_/schedules/schedule_beit3.py',
    '../_base_/multimodal_runtime.py',
]
train_pipeline = [{{_base_.load}}, {{_base_.crop}}, {{_base_.flip}}, {{_base_.pack}}]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=3072)

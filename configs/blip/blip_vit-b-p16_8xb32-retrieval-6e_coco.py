# BLIP ViT-B/16 that finds images and texts of COCO.
_base_ = [
    '../_base_/models/blip_retrieval.py',
    '../_base_/datasets/coco_captions.py',
    '../_base_/schedules/schedule_blip_tune.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=6)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=6)]

# BLIP ViT-B/16 pre-trained on pairs of images and texts (14 or 129 million in the paper). COCO CIDEr after fine-tuning
# 133.3 (paper).
_base_ = [
    '../_base_/models/blip_pretrain.py',
    '../_base_/datasets/pairs_tars.py',
    '../_base_/schedules/schedule_blip_20e.py',
    '../_base_/multimodal_runtime.py',
]
train_dataloader = dict(batch_size=90)

# CLIP ViT-B/32 on 400 million pairs of images and texts. Zero-shot ImageNet 63.3 (paper).
_base_ = [
    '../_base_/models/clip_vit.py',
    '../_base_/datasets/pairs_tars.py',
    '../_base_/schedules/schedule_clip_32e.py',
    '../_base_/multimodal_runtime.py',
]

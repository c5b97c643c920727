# CLIP RN50. Zero-shot ImageNet 59.8 (paper).
_base_ = [
    '../_base_/models/clip_resnet.py',
    '../_base_/datasets/pairs_tars.py',
    '../_base_/schedules/schedule_clip_32e.py',
    '../_base_/multimodal_runtime.py',
]
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.999), eps=1e-8))

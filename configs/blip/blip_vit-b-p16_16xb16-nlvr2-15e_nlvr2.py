# BLIP ViT-B/16 that says whether a sentence is true of two images. NLVR2 dev 82.15 (paper).
_base_ = [
    '../_base_/models/blip_nlvr2.py',
    '../_base_/datasets/nlvr2.py',
    '../_base_/schedules/schedule_blip_tune.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=15)
optim_wrapper = dict(optimizer=dict(lr=3e-5))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=15)]

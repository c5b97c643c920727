# ONE-PEACE's fine-tuning: BEiT-3's with a milder decay by layer, a tenth of warm-up and a cosine, both from and to
# 1e-6; rates and epochs are those of COCO, see tasks.
_base_ = './schedule_beit3.py'
optim_wrapper = dict(optimizer=dict(lr=8e-5), paramwise_cfg=dict(layer_decay=0.9, no_decay=('positions',)))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.0125, by_epoch=True, begin=0, end=1.5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.0125, by_epoch=True, begin=1.5, end=15, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=16)

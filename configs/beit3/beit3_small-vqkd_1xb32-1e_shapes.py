# The small BEiT-3 whose visual tokens are those of the small VQ-KD instead of mean colours, for one epoch.
_base_ = ['./beit3_small_1xb32-2e_shapes.py', '../_base_/models/vqkd_small_tokenizer.py']
trained = 'work_dirs/vqkd_small_1xb64-1e_shapes/epoch_1.pth'
model = dict(objectives=dict(masked=dict(codes=dict(_delete_=True, **_base_.visual_tokenizer, checkpoint=trained))))
train_cfg = dict(max_epochs=1, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-2, begin=0, end=1, convert_to_iter_based=True),
]

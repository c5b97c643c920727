# The small BLIP tuned to write: captioning alone, from the pre-trained one (`load_from`, `--load-from`).
_base_ = './blip_small_1xb32-12e_shapes.py'
model = dict(
    towers=dict(_delete_=True, image=_base_.model.towers.image),
    decoder=dict(tie=None),
    projections=None,
    fusion=None,
    momentum=None,
    objectives=dict(_delete_=True, captioning=_base_.model.objectives.captioning),
)
load_from = 'work_dirs/blip_small_1xb32-12e_shapes/epoch_12.pth'
train_cfg = dict(max_epochs=8, val_interval=2)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-2, begin=0, end=8, convert_to_iter_based=True),
]

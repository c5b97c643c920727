# The small BLIP tuned to write: captioning alone, from the pre-trained one, on more images:
# python tools/make_shapes.py --out data/shapes_named_30k --images 30000 --size 64 --objects 2 --smallest 0.4 \
#   --captions names
_base_ = './blip_small_1xb32-12e_shapes.py'
model = dict(
    towers=dict(_delete_=True, image=_base_.model.towers.image),
    decoder=dict(tie=None),
    projections=None,
    fusion=None,
    momentum=None,
    objectives=dict(_delete_=True, captioning=_base_.model.objectives.captioning),
)
data_root = 'data/shapes_named_30k/'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
load_from = 'work_dirs/blip_small_1xb32-12e_shapes/epoch_12.pth'
train_cfg = dict(max_epochs=3, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-2, begin=0, end=3, convert_to_iter_based=True),
]

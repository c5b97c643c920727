# DINO, small, from scratch on the generated set (tools/make_shapes.py); what `make demo` trains.
_base_ = [
    '../_base_/models/dino_small.py', '../_base_/datasets/shapes_detection.py', '../_base_/schedules/schedule_small.py',
    '../_base_/default_runtime.py'
]
# From scratch, telling the classes apart is what takes time: the class loss weighs five times the paper's.
model = dict(
    groups=[dict(type='mmparts.Denoising', num=30)],
    head=dict(terms=[
        dict(type='mmparts.FocalTerm', weight=5.0),
        dict(type='mmparts.BoxL1Term', weight=5.0),
        dict(type='mmparts.GIoUTerm', weight=2.0)
    ]))
train_dataloader = dict(batch_size=4)

max_epochs = 7
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', begin=0, end=max_epochs, by_epoch=True, convert_to_iter_based=True, eta_min=1e-5)
]

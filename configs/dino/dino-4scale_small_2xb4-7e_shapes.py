# DINO, small, from scratch on the generated set (tools/make_shapes.py); what `make demo` trains.
_base_ = [
    '../_base_/models/dino_small.py',
    '../_base_/datasets/shapes_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
# From scratch, telling the classes apart is what takes time: the class loss weighs five times the paper's.
model = dict(
    groups=[dict(type='mmparts.Denoising', num=30)],
    head=dict(
        terms=[
            dict(type='mmparts.FocalTerm', weight=5.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
        ]
    ),
)
train_dataloader = dict(batch_size=4)

train_cfg = dict(max_epochs=7)
optim_wrapper = dict(optimizer=dict(lr=2e-3))

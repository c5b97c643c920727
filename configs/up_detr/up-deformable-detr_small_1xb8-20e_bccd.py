# Deformable DETR, small, on BCCD, from up-deformable-detr-pretrain_small_1xb8-20e_bccd.py. What it reached: README.md.
_base_ = [
    '../_base_/models/deformable_detr_refine_small.py',
    '../_base_/models/shapes_backbone.py',
    '../_base_/datasets/bccd_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/fine_tune.py',
    '../_base_/detection_runtime.py',
]
# From scratch, telling the classes apart is what takes time: the class loss weighs 2.5 times the paper's.
model = dict(
    num_classes=3,
    num_queries=60,
    backbone=dict(init_cfg={{_base_.shapes_backbone}}),
    head=dict(
        terms=[
            dict(type='mmparts.FocalTerm', weight=5.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
        ]
    ),
)
load_from = 'work_dirs/up-deformable-detr-pretrain_small_1xb8-20e_bccd/epoch_20.pth'
default_hooks = dict(fine_tune={{_base_.fine_tune}})

train_cfg = dict(max_epochs=20, val_interval=5)

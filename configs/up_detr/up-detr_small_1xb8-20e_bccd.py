# UP-DETR, small, fine-tuned on BCCD from up-detr-pretrain_small_1xb8-30e_bccd.py. What it reached: README.md.
_base_ = [
    '../_base_/models/up_detr_small.py',
    '../_base_/models/shapes_backbone.py',
    '../_base_/datasets/bccd_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/fine_tune.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    num_classes=3,
    num_queries=60,
    backbone=dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), init_cfg={{_base_.shapes_backbone}}),
)
load_from = 'work_dirs/up-detr-pretrain_small_1xb8-30e_bccd/epoch_30.pth'
default_hooks = dict(fine_tune={{_base_.fine_tune}})

train_cfg = dict(max_epochs=20, val_interval=5)

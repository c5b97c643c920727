# UP-DETR, small, pre-training on the blood cells of BCCD without labels; README.md says what it is worth.
_base_ = [
    '../_base_/models/up_detr_pretrain_small.py',
    '../_base_/models/shapes_backbone.py',
    '../_base_/datasets/unlabelled_bccd.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    num_classes=2,
    num_queries=60,
    adapt_norms=True,  # the backbone comes from images of another kind
    backbone=dict(
        strides=(1, 2, 2, 1),  # small images: the last stage dilated, not at half the size
        dilations=(1, 1, 1, 2),
        init_cfg={{_base_.shapes_backbone}},
    ),
)
val_cfg = test_cfg = None

train_cfg = dict(max_epochs=30)

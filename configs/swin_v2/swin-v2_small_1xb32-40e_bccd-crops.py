# Swin v2, small, three stages, from scratch on crops of blood cells.
_base_ = [
    '../_base_/models/classifier.py',
    '../_base_/datasets/bccd_crops_classification.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    backbone=dict(
        type='mmparts.SwinV2',
        arch=dict(embed_dims=32, depths=(2, 2, 2), num_heads=(1, 2, 4)),
        window_size=4,
        out_indices=(2,),
        drop_path=0.0,
    ),
    num_classes={{_base_.num_classes}},
)

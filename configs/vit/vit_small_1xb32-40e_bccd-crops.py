# ViT, small, with a class token, from scratch on crops of blood cells.
_base_ = [
    '../_base_/models/classifier.py',
    '../_base_/datasets/bccd_crops_classification.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    backbone=dict(
        type='mmparts.ViT',
        arch=dict(embed_dims=96, num_layers=4, num_heads=3),
        patch_size=8,
        image_size=64,
        out='class',
    ),
    num_classes={{_base_.num_classes}},
)

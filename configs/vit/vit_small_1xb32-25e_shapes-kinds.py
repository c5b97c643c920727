# A small ViT tells six kinds of shapes apart from 400 images; `load_from` a pre-training by masks to fine-tune.
_base_ = [
    '../_base_/models/classifier.py',
    '../_base_/datasets/shapes_kinds.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    backbone=dict(
        type='mmparts.ViT', arch=dict(embed_dims=96, num_layers=4, num_heads=3), patch_size=8, image_size=64, out='mean'
    ),
    num_classes={{_base_.num_classes}},
)
train_cfg = dict(max_epochs=25)

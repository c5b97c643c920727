# Masked patch prediction with a small ViT on the images of the generated set.
_base_ = [
    '../_base_/datasets/shapes_images.py',
    '../_base_/schedules/schedule_pretrain_masked.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    type='mmparts.MaskedPretrainer',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(type='mmparts.ViT', arch=dict(embed_dims=96, num_layers=4, num_heads=3), patch_size=8, image_size=64),
    objective=dict(type='mmparts.PatchColours'),
)
default_hooks = dict(checkpoint=dict(interval=20, save_best=None))

# DINO on a small ViT, from scratch on the generated set.
_base_ = ['../dino/dino-4scale_small_2xb4-7e_shapes.py', '../_base_/models/backbones_small.py']
model = dict(data_preprocessor=dict(pad_size_divisor=32), backbone=dict(**_base_.vit, scales=(2, 1, 0.5, 0.25)))

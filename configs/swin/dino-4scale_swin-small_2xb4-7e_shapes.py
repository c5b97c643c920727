# DINO on a small Swin Transformer, from scratch on the generated set.
_base_ = ['../dino/dino-4scale_small_2xb4-7e_shapes.py', '../_base_/models/backbones_small.py']
model = dict(backbone=dict(**_base_.swin, out_indices=(1, 2, 3)))

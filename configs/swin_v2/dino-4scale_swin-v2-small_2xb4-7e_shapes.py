# DINO on a small Swin v2, from scratch on the generated set.
_base_ = ['../dino/dino-4scale_small_2xb4-7e_shapes.py', '../_base_/models/backbones_small.py']
model = dict(backbone=dict(**_base_.swin_v2, out_indices=(1, 2, 3)))

# Mask DINO on a small ViT, from scratch on the generated set, boxes and masks.
_base_ = ['../mask_dino/mask-dino_small_1xb8-9e_shapes-instance.py', '../_base_/models/backbones_small.py']
model = dict(data_preprocessor=dict(pad_size_divisor=32), backbone=_base_.vit)

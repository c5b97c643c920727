# Mask DINO on a small InternImage, from scratch on the generated set, boxes and masks.
_base_ = ['../mask_dino/mask-dino_small_1xb8-9e_shapes-instance.py', '../_base_/models/backbones_small.py']
model = dict(backbone=_base_.intern_image)

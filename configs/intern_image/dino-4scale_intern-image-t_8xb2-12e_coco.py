# DINO on InternImage-T, 4 scales, 12 epochs.
_base_ = ['../dino/dino-4scale_r50_8xb2-12e_coco.py', '../_base_/models/backbones_dense.py']
model = dict(backbone=dict(**_base_.intern_image_t, out_indices=(1, 2, 3)))

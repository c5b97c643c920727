# DINO on a plain ViT-B with windows and the simple pyramid of ViTDet, 4 scales, 12 epochs.
_base_ = ['../dino/dino-4scale_r50_8xb2-12e_coco.py', '../_base_/models/backbones_dense.py']
model = dict(
    data_preprocessor=dict(pad_size_divisor=16),
    backbone=dict(**_base_.vit_b),
    neck=dict(_delete_=True, type='mmparts.SimplePyramid', scales=(2, 1, 0.5, 0.25)),
)

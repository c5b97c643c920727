# Co-DINO on InternImage-T, 5 scales, 12 epochs.
_base_ = ['../co_detr/co-dino-5scale_r50_8xb2-12e_coco.py', '../_base_/models/backbones_dense.py']
model = dict(backbone=dict(**_base_.intern_image_t))

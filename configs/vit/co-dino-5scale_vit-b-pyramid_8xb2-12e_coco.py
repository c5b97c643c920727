# Co-DINO on a plain ViT-B with windows and the simple pyramid of ViTDet, 5 scales, 12 epochs.
_base_ = ['../co_detr/co-dino-5scale_r50_8xb2-12e_coco.py', '../_base_/models/backbones_dense.py']
model = dict(data_preprocessor=dict(pad_size_divisor=32), backbone=dict(**_base_.vit_b_pyramid))

# Mask DINO on a plain ViT-B with windows and the simple pyramid of ViTDet, instances, 50 epochs.
_base_ = ['../mask_dino/mask-dino_r50_8xb2-50e_coco-instance.py', '../_base_/models/backbones_dense.py']
model = dict(data_preprocessor=dict(pad_size_divisor=32), backbone=dict(**_base_.vit_b_pyramid))
optim_wrapper = dict(paramwise_cfg=dict(spare_norms=True))

# Mask DINO on InternImage-T, instances, 50 epochs.
_base_ = ['../mask_dino/mask-dino_r50_8xb2-50e_coco-instance.py', '../_base_/models/backbones_dense.py']
model = dict(backbone=dict(**_base_.intern_image_t))
optim_wrapper = dict(paramwise_cfg=dict(spare_norms=True))

# Mask DINO on ViT-Adapter-S (DeiT), instances, 50 epochs.
_base_ = ['../mask_dino/mask-dino_r50_8xb2-50e_coco-instance.py', '../_base_/models/backbones_dense.py']
model = dict(data_preprocessor=dict(pad_size_divisor=32), backbone=dict(**_base_.vit_adapter_s))
optim_wrapper = dict(paramwise_cfg=dict(spare_norms=True))

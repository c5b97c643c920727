# DINO on ViT-Adapter-S (DeiT), 4 scales, 12 epochs.
_base_ = ['../dino/dino-4scale_r50_8xb2-12e_coco.py', '../_base_/models/backbones_dense.py']
model = dict(data_preprocessor=dict(pad_size_divisor=32), backbone=dict(**_base_.vit_adapter_s))

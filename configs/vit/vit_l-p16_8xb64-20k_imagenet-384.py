# ViT-L/16, fine-tuned at 384 pixels from ImageNet-21k. Top-1 85.1 (paper).
_base_ = './vit_b-p16_8xb64-20k_imagenet-384.py'
model = dict(backbone=dict(arch='large', dropout=0.1))

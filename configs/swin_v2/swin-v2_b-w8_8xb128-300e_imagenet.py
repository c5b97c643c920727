# Swin v2-B, window 8, ImageNet-1k at 256 pixels. Top-1 84.2 (paper).
_base_ = './swin-v2_t-w8_8xb128-300e_imagenet.py'
model = dict(backbone=dict(arch='base', drop_path=0.5))

# Swin v2-S, window 8, ImageNet-1k at 256 pixels. Top-1 83.7 (paper).
_base_ = './swin-v2_t-w8_8xb128-300e_imagenet.py'
model = dict(backbone=dict(arch='small', drop_path=0.3))

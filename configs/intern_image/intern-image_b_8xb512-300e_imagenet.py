# InternImage-B, ImageNet-1k at 224 pixels. Top-1 84.9 (paper).
_base_ = './intern-image_t_8xb512-300e_imagenet.py'
model = dict(backbone=dict(arch='base', drop_path=0.5))

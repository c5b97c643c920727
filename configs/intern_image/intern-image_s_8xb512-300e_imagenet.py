# InternImage-S, ImageNet-1k at 224 pixels. Top-1 84.2 (paper).
_base_ = './intern-image_t_8xb512-300e_imagenet.py'
model = dict(backbone=dict(arch='small', drop_path=0.4))

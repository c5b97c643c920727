# BEiT-3 large, its image part fine-tuned on ImageNet-1k at 224 pixels. Top-1 87.6 (paper).
_base_ = './beit3_base-p16_8xb128-50e_imagenet.py'
model = dict(towers=dict(image=dict(arch='large')), fusion=dict(arch='large', drop_path=0.25))
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay=0.8))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], eta_min_ratio=0.005)]

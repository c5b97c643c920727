# BEiT-3 large that writes captions of COCO at 480 pixels. CIDEr 143.2 (paper).
_base_ = './beit3_base-p16_8xb32-caption-10e_coco.py'
model = dict(towers=dict(image=dict(arch='large'), text=dict(arch='large')), fusion=dict(arch='large'))
optim_wrapper = dict(optimizer=dict(lr=8e-6))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], eta_min_ratio=0.125)]

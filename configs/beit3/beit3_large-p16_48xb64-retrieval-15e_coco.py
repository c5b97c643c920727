# BEiT-3 large that finds images and texts of COCO at 384 pixels. R@1 63.4 of images, 82.1 of texts (paper).
_base_ = './beit3_base-p16_48xb64-retrieval-15e_coco.py'
model = dict(
    towers=dict(image=dict(arch='large'), text=dict(arch='large')),
    fusion=dict(arch='large'),
    projections=dict(image=1024, text=1024),
)
optim_wrapper = dict(optimizer=dict(lr=5e-5), paramwise_cfg=dict(layer_decay=0.85))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], eta_min_ratio=0.02)]

# BEiT-3 large that says whether a sentence is true of two images. NLVR2 test-P 89.4 (paper).
_base_ = './beit3_base-p16_8xb32-nlvr2-20e_nlvr2.py'
model = dict(
    towers=dict(image=dict(arch='large'), text=dict(arch='large')),
    fusion=dict(arch='large'),
    objectives=dict(reasoning=dict(head=dict(hidden_dims=2048))),
)
optim_wrapper = dict(optimizer=dict(lr=3e-4), paramwise_cfg=dict(layer_decay=0.85))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], eta_min_ratio=1 / 300)]

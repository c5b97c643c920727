# BEiT-3 large that chooses among 3,129 answers, as the base.
_base_ = './beit3_base-p16_8xb16-vqa-10e_vqa-v2.py'
model = dict(
    towers=dict(image=dict(arch='large'), text=dict(arch='large')),
    fusion=dict(arch='large', drop_path=0.15),
    objectives=dict(answers=dict(head=dict(hidden_dims=2048))),
)
optim_wrapper = dict(optimizer=dict(lr=2e-5))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], eta_min_ratio=0.05)]

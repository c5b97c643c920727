# ONE-PEACE of the pre-training that names sounds it was never trained on: ESC-50, top-1 91.8 (paper).
_base_ = ['../_base_/models/one_peace_sound.py', '../_base_/datasets/esc50.py', '../_base_/multimodal_runtime.py']
model = dict(
    fusion=dict(learns=None),
    objectives=dict(_delete_=True, contrastive={{_base_.model.objectives.contrastive}}),
    inference=dict(type='mmparts.ZeroShot', of='audio', templates=('This is a sound of {}',)),
)
test_cfg = dict(type='TestLoop')

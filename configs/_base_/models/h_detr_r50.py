# H-Deformable-DETR with a ResNet-50: two-stage Deformable DETR with a second group, matched one-to-many.
_base_ = './deformable_detr_refine_twostage_r50.py'
model = dict(
    encoder=dict(ffn_channels=2048, dropout=0.0),
    queries=dict(mixed_selection=True, content_std=1.0),
    groups=[dict(type='mmparts.OneToMany', num=1500, repeat=6)],
    decoder=dict(ffn_channels=2048, dropout=0.0, reference_update=dict(type='mmparts.LookForwardTwice')),
)

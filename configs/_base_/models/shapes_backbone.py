# The backbone of a DINO that was trained on the generated set (the demo's config); a config writes
# `init_cfg={{_base_.shapes_backbone}}`.
shapes_backbone = dict(
    _delete_=True,
    type='Pretrained',
    checkpoint='work_dirs/dino-4scale_small_2xb4-7e_shapes/epoch_7.pth',
    prefix='backbone.',
)

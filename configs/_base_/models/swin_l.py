# Swin-L (ImageNet-22k, 384 pixels, window 12), all four stages; a config writes `backbone={{_base_.swin_l}}`.
swin_l = dict(
    _delete_=True,
    type='mmparts.Swin',
    arch='large',
    window_size=12,
    out_indices=(0, 1, 2, 3),
    drop_path=0.3,
    with_cp=True,
    # From the releases of microsoft/Swin-Transformer; converted while loading.
    init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/swin_large_patch4_window12_384_22k.pth'),
)

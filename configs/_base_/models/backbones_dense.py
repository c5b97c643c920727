# Published backbones for dense heads, with their weights; a config writes
# `model = dict(backbone=dict(**_base_.swin_v2_b, drop_path=0.3))`, with the drop path of its recipe.
vit_b = dict(  # MAE's, with the windows of ViTDet; a map of stride 16
    _delete_=True,
    type='mmparts.ViT',
    arch='base',
    class_token=False,
    final_norm=False,
    resize='dinov2',
    window_size=14,
    global_blocks=(2, 5, 8, 11),
    drop_path=0.1,
    with_cp=True,
    init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/mae_pretrain_vit_base.pth'),
)
vit_b_pyramid = dict(  # the same with ViTDet's simple pyramid: 256 channels at the strides 4, 8, 16, 32
    _delete_=True, type='mmparts.PyramidBackbone', backbone={k: v for k, v in vit_b.items() if k != '_delete_'}
)
windowed = dict(  # the ViT of the adapters that detect
    type='mmparts.ViT',
    class_token=False,
    final_norm=False,
    layer_scale=1.0,
    resize='dinov2',
    window_size=14,
    window_pad='qkv',
    global_blocks=(2, 5, 8, 11),
)
vit_adapter_t = dict(  # on DeiT's ViT-Ti with windows
    _delete_=True,
    type='mmparts.ViTAdapter',
    num_heads=6,
    drop_path=0.1,
    vit=dict(
        **windowed,
        arch='tiny',
        drop_path=0.1,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/deit_tiny_patch16_224-a1311bcf.pth'),
    ),
)
vit_adapter_s = dict(  # on DeiT's ViT-S with windows
    _delete_=True,
    type='mmparts.ViTAdapter',
    num_heads=6,
    drop_path=0.2,
    vit=dict(
        **windowed,
        arch='small',
        drop_path=0.2,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/deit_small_patch16_224-cd65a155.pth'),
    ),
)
swin_t = dict(  # ImageNet-1k
    _delete_=True,
    type='mmparts.Swin',
    arch='tiny',
    drop_path=0.2,
    init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/swin_tiny_patch4_window7_224.pth'),
)
swin_v2_b = dict(  # ImageNet-22k, windows of 12 taken to 16
    _delete_=True,
    type='mmparts.SwinV2',
    arch='base',
    window_size=16,
    pretrained_windows=(12, 12, 12, 6),
    with_cp=True,
    init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/swinv2_base_patch4_window12_192_22k.pth'),
)
intern_image_t = dict(  # ImageNet-1k
    _delete_=True,
    type='mmparts.InternImage',
    arch='tiny',
    layer_scale=1.0,
    drop_path=0.2,
    init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/internimage_t_1k_224.pth'),
)

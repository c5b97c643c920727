# Backbones small enough for two cores; a config writes `model = dict(backbone={{_base_.swin}})`.
vit = dict(
    _delete_=True,
    type='mmparts.PyramidBackbone',
    backbone=dict(
        type='mmparts.ViT', arch=dict(embed_dims=96, num_layers=4, num_heads=4), image_size=128, class_token=False
    ),
    out_channels=64,
)
stages = dict(embed_dims=32, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8))
swin = dict(_delete_=True, type='mmparts.Swin', arch=stages, window_size=4, drop_path=0.0)
swin_v2 = dict(_delete_=True, type='mmparts.SwinV2', arch=stages, window_size=4, drop_path=0.0)
vit_adapter = dict(
    _delete_=True,
    type='mmparts.ViTAdapter',
    num_heads=4,
    prior_channels=16,
    vit=dict(
        type='mmparts.ViT',
        arch=dict(embed_dims=96, num_layers=4, num_heads=4),
        image_size=128,
        class_token=False,
        final_norm=False,
        layer_scale=1.0,
        resize='dinov2',
    ),
)
intern_image = dict(
    _delete_=True,
    type='mmparts.InternImage',
    arch=dict(embed_dims=32, depths=(2, 2, 2, 2), num_groups=(2, 4, 8, 16), order='pre', layer_scale=None),
    drop_path=0.0,
)

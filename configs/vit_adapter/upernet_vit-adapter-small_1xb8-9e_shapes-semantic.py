# UPerNet on a small ViT-Adapter, from scratch on the generated set.
_base_ = '../swin/upernet_swin-small_1xb8-9e_shapes-semantic.py'
model = dict(
    encoder=dict(
        _delete_=True,
        type='mmparts.ViTAdapter',
        num_heads=4,
        prior_channels=16,
        add_vit='each',
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
)

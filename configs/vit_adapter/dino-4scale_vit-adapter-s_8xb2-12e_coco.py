# DINO on ViT-Adapter-S (DeiT), 4 scales, 12 epochs.
_base_ = '../dino/dino-4scale_r50_8xb2-12e_coco.py'
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        _delete_=True,
        type='mmparts.ViTAdapter',
        num_heads=6,
        drop_path=0.2,
        vit=dict(
            type='mmparts.ViT',
            arch='small',
            class_token=False,
            final_norm=False,
            layer_scale=1.0,
            resize='dinov2',
            window_size=14,
            window_pad='qkv',
            global_blocks=(2, 5, 8, 11),
            drop_path=0.2,
            init_cfg=dict(
                type='mmparts.OfficialWeights', checkpoint='data/pretrained/deit_small_patch16_224-cd65a155.pth'
            ),
        ),
    ),
)

# mmdet's Mask R-CNN (R50-FPN) with a ViT-Adapter of 192 channels.
_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.ViTAdapter',
        num_heads=6,
        vit=dict(
            type='mmparts.ViT',
            arch='tiny',
            class_token=False,
            final_norm=False,
            layer_scale=1.0,
            resize='dinov2',
            window_size=14,
            window_pad='qkv',
            global_blocks=(2, 5, 8, 11),
            drop_path=0.1,
        ),
        drop_path=0.1,
    ),
    neck=dict(in_channels=[192, 192, 192, 192]),
)

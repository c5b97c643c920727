# Mask DINO on Swin v2-B, instances, 50 epochs.
_base_ = '../mask_dino/mask-dino_r50_8xb2-50e_coco-instance.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.SwinV2',
        arch='base',
        window_size=16,
        pretrained_windows=(12, 12, 12, 6),
        drop_path=0.3,
        with_cp=True,
        init_cfg=dict(
            type='mmparts.OfficialWeights', checkpoint='data/pretrained/swinv2_base_patch4_window12_192_22k.pth'
        ),
    )
)
# The rule for the backbone's rate would decay its norms again, as the longest key that fits decides.
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            key: dict(lr_mult=0.1, decay_mult=0.0)
            for key in (
                'norm1.weight',
                'norm1.bias',
                'norm2.weight',
                'norm2.bias',
                'backbone.norm',
                'patch_embed.norm',
                'downsample.norm',
            )
        }
    )
)

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

# DINO on Swin v2-B (ImageNet-22k, window 12 to 16), 4 scales, 12 epochs.
_base_ = '../dino/dino-4scale_r50_8xb2-12e_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.SwinV2',
        arch='base',
        window_size=16,
        pretrained_windows=(12, 12, 12, 6),
        out_indices=(1, 2, 3),
        drop_path=0.2,
        with_cp=True,
        init_cfg=dict(
            type='mmparts.OfficialWeights', checkpoint='data/pretrained/swinv2_base_patch4_window12_192_22k.pth'
        ),
    )
)

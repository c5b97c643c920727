# DINO on a plain ViT-B with windows and the simple pyramid of ViTDet, 4 scales, 12 epochs.
_base_ = '../dino/dino-4scale_r50_8xb2-12e_coco.py'
model = dict(
    data_preprocessor=dict(pad_size_divisor=16),
    backbone=dict(
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
    ),
    neck=dict(_delete_=True, type='mmparts.SimplePyramid', scales=(2, 1, 0.5, 0.25)),
)

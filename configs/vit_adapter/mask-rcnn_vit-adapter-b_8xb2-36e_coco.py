# mmdet's Mask R-CNN on ViT-Adapter-B (DeiT), multi-scale, 36 epochs. COCO val box AP: 49.6 (paper).
_base_ = './mask-rcnn_vit-adapter-t_8xb2-36e_coco.py'
model = dict(
    backbone=dict(
        num_heads=12,
        value_ratio=0.5,
        drop_path=0.3,
        vit=dict(
            arch='base',
            drop_path=0.3,
            with_cp=True,
            init_cfg=dict(checkpoint='data/pretrained/deit_base_patch16_224-b5f2ef4d.pth'),
        ),
    ),
    neck=dict(in_channels=[768, 768, 768, 768]),
)

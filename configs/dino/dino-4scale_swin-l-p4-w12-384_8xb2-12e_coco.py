# DINO, Swin-L (ImageNet-22k, 384 pixels, window 12), 4 scales, 12 epochs. COCO val box AP: 56.8 (paper).
_base_ = './dino-4scale_r50_8xb2-12e_coco.py'
# From the releases of microsoft/Swin-Transformer; converted while loading.
checkpoint = 'data/pretrained/swin_large_patch4_window12_384_22k.pth'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.Swin',
        arch='large',
        window_size=12,
        out_indices=(1, 2, 3),
        drop_path=0.2,
        with_cp=True,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint=checkpoint),
    )
)

# Mask DINO, Swin-L (ImageNet-22k, window 12), 5 levels, 50 epochs. COCO mask AP: 52.3, box AP: 59.0 (paper).
_base_ = './mask-dino_r50_8xb2-50e_coco-instance.py'
# From the releases of microsoft/Swin-Transformer; converted while loading.
checkpoint = 'data/pretrained/swin_large_patch4_window12_384_22k.pth'
model = dict(
    num_levels=5,
    backbone=dict(
        _delete_=True,
        type='mmparts.Swin',
        arch='large',
        window_size=12,
        out_indices=(0, 1, 2, 3),
        drop_path=0.3,
        with_cp=True,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint=checkpoint)),
    neck=dict(encode_finest=True))  # attention reaches the level at stride 4 too
train_dataloader = dict(batch_size=1)

# DINO on a frozen DINOv2 ViT-S/14 with the simple pyramid, on blood cells. What it reached: README.md, Real data.
_base_ = '../dino/dino-4scale_small_1xb8-60e_bccd.py'
model = dict(
    data_preprocessor=dict(pad_size_divisor=14),
    backbone=dict(
        _delete_=True,
        type='mmparts.ViT',
        arch='small',
        patch_size=14,
        image_size=518,
        layer_scale=1e-5,
        resize='dinov2',
        frozen_blocks=12,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/dinov2_vits14_pretrain.pth'),
    ),
    neck=dict(_delete_=True, type='mmparts.SimplePyramid', scales=(2, 1, 0.5, 0.25)),
)
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_epochs=12, val_interval=4)
auto_scale_lr = dict(base_batch_size=4)

# DINO on a frozen DINOv2 ViT-S/14, on blood cells: each level of the pyramid from another block, the fine one from an
# early block, which still tells platelets apart. What it reached: docs/backbone_results.md.
_base_ = '../dino/dino-4scale_small_1xb8-60e_bccd.py'
dinov2 = dict(
    type='mmparts.ViT',
    arch='small',
    patch_size=14,
    image_size=518,
    layer_scale=1e-5,
    resize='dinov2',
    out_indices=(3, 7, 11),
    frozen_blocks=12,
    init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/dinov2_vits14_pretrain.pth'),
)
model = dict(
    data_preprocessor=dict(pad_size_divisor=14),
    backbone=dict(_delete_=True, type='mmparts.RememberedMaps', backbone=dinov2, dtype='bfloat16'),
    neck=dict(_delete_=True, type='mmparts.SimplePyramid', scales=(2, 1, 0.5, 0.25), maps=(0, 1, 2, 2)),
)

# Images come again as they were: two of each, one flipped.
resize = dict(type='Resize', scale=(448, 336), keep_ratio=True)
train_pipeline = [_base_.load_image, _base_.load_boxes, _base_.flip, resize, _base_.pack]
test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=24, val_interval=8)
auto_scale_lr = dict(base_batch_size=4)

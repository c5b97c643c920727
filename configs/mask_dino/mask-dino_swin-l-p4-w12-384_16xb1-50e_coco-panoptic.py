# Mask DINO, Swin-L (ImageNet-22k, window 12), 5 levels, 50 epochs. COCO val PQ: 58.3 (paper).
_base_ = ['./mask-dino_r50_8xb2-50e_coco-panoptic.py', '../_base_/models/swin_l.py']
model = dict(
    num_levels=5,
    backbone={{_base_.swin_l}},
    neck=dict(encode_finest=True),  # attention reaches the level at stride 4 too
    queries=dict(boxes_from_masks=True, last_pixel=True),
)
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(
    paramwise_cfg=dict(
        spare_norms=True, no_decay=(*_base_.optim_wrapper.paramwise_cfg.no_decay, 'relative_position_bias_table')
    )
)

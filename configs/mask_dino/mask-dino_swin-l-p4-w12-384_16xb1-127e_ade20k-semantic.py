# Mask DINO, Swin-L (ImageNet-22k, window 12), 3 levels, 127 epochs. ADE20K val; mIoU after Objects365: 60.8 (paper).
_base_ = ['./mask-dino_r50_8xb2-127e_ade20k-semantic.py', '../_base_/models/swin_l.py']
model = dict(backbone={{_base_.swin_l}})
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(
    paramwise_cfg=dict(
        spare_norms=True, no_decay=(*_base_.optim_wrapper.paramwise_cfg.no_decay, 'relative_position_bias_table')
    )
)

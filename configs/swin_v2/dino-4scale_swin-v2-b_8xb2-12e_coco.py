# DINO on Swin v2-B (ImageNet-22k, window 12 to 16), 4 scales, 12 epochs.
_base_ = ['../dino/dino-4scale_r50_8xb2-12e_coco.py', '../_base_/models/backbones_dense.py']
model = dict(backbone=dict(**_base_.swin_v2_b, out_indices=(1, 2, 3), drop_path=0.2))

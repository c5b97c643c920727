# DINO, ResNet-101, 4 scales, 12 epochs.
_base_ = './dino-4scale_r50_8xb2-12e_coco.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))

# DETR, ResNet-101, 500 epochs. COCO val box AP: 43.5 (paper).
_base_ = './detr_r50_8xb2-500e_coco.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))

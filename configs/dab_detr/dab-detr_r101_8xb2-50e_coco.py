# DAB-DETR, ResNet-101, 50 epochs. COCO val box AP: 43.5 (paper).
_base_ = './dab-detr_r50_8xb2-50e_coco.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))

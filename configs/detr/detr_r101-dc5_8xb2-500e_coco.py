# DETR-DC5, ResNet-101 with a dilated last stage (stride 16), 500 epochs. COCO val box AP: 44.9 (paper).
_base_ = './detr_r50-dc5_8xb2-500e_coco.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))

# DETR-DC5, ResNet-50 with a dilated last stage (stride 16), 500 epochs. COCO val box AP: 43.3 (paper).
_base_ = './detr_r50_8xb2-500e_coco.py'
model = dict(backbone=dict(type='mmseg.ResNet', strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), contract_dilation=True))

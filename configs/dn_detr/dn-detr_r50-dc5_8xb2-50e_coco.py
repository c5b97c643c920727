# DN-DETR-DC5, ResNet-50 with a dilated last stage (stride 16), 50 epochs. COCO val box AP: 46.3 (paper).
_base_ = './dn-detr_r50_8xb2-50e_coco.py'
model = dict(backbone=dict(type='mmseg.ResNet', strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), contract_dilation=True))

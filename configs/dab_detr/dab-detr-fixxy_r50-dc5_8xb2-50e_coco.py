# DAB-DETR-DC5, ResNet-50, anchors with fixed random centres, 50 epochs. COCO val box AP: 44.7 (paper).
_base_ = './dab-detr_r50-dc5_8xb2-50e_coco.py'
model = dict(queries=dict(centres='fixed'))

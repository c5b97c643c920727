# DAB-DETR-DC5, ResNet-50, three patterns for each anchor, 50 epochs. COCO val box AP: 45.7 (paper).
_base_ = './dab-detr_r50-dc5_8xb2-50e_coco.py'
model = dict(queries=dict(num_patterns=3))

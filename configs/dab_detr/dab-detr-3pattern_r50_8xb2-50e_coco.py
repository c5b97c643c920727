# DAB-DETR, ResNet-50, three patterns for each anchor, 50 epochs. COCO val box AP: 42.6 (paper).
_base_ = './dab-detr_r50_8xb2-50e_coco.py'
model = dict(queries=dict(num_patterns=3))

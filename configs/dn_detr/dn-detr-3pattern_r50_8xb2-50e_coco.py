# DN-DETR, ResNet-50, three patterns for each anchor, 50 epochs.
_base_ = './dn-detr_r50_8xb2-50e_coco.py'
model = dict(queries=dict(num_patterns=3))

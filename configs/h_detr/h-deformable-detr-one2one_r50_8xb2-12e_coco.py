# H-Deformable-DETR without its one-to-many group, ResNet-50, 12 epochs: its baseline. COCO val box AP: 47.0 (paper).
_base_ = './h-deformable-detr_r50_8xb2-12e_coco.py'
model = dict(groups=[])

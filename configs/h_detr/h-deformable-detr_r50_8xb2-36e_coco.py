# H-Deformable-DETR, ResNet-50, 300 + 1500 queries, 36 epochs. COCO val box AP: 50.0 (paper).
_base_ = './h-deformable-detr_r50_8xb2-12e_coco.py'
train_cfg = dict(max_epochs=36)
param_scheduler = [dict(type='MultiStepLR', milestones=[30], gamma=0.1)]

# SMCA-DETR, ResNet-50, 108 epochs. COCO val box AP: 42.7 (paper).
_base_ = './smca-detr_r50_8xb2-50e_coco.py'
train_cfg = dict(max_epochs=108)
param_scheduler = [dict(type='MultiStepLR', milestones=[80], gamma=0.1)]

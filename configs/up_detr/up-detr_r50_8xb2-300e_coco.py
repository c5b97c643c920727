# UP-DETR, fine-tuning on COCO, 300 epochs. COCO val box AP: 42.8 (paper).
_base_ = './up-detr_r50_8xb2-150e_coco.py'
train_cfg = dict(max_epochs=300)
param_scheduler = [dict(type='MultiStepLR', milestones=[200], gamma=0.1)]

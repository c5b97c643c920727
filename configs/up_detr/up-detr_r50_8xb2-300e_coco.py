# UP-DETR, fine-tuning on COCO, 300 epochs. COCO val box AP: 42.8 (paper).
_base_ = './up-detr_r50_8xb2-150e_coco.py'
max_epochs = 300
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='MultiStepLR', begin=0, end=max_epochs, by_epoch=True, milestones=[200], gamma=0.1)
]

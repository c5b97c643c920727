# DETReg, pre-training of Deformable DETR on the pictures of COCO without their labels, for fine-tuning on few of them.
_base_ = './detreg-pretrain-deformable_r50_8xb24-5e_imagenet.py'
max_epochs = 50
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='MultiStepLR', begin=0, end=max_epochs, by_epoch=True, milestones=[40], gamma=0.1)
]
train_dataloader = dict(dataset=dict(data_root='data/coco/', data_prefix=dict(img='train2017/')))

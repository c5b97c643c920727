# DETReg, pre-training of Deformable DETR on the images of COCO without their labels, for fine-tuning on few of them.
_base_ = './detreg-pretrain-deformable_r50_8xb24-5e_imagenet.py'
train_cfg = dict(max_epochs=50)
param_scheduler = [dict(type='MultiStepLR', milestones=[40], gamma=0.1)]
data_root = 'data/coco/'
train_dataloader = dict(dataset=dict(data_root=data_root, data_prefix=dict(img='train2017/')))

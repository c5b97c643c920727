# DETReg, fine-tuning of Deformable DETR on a tenth of COCO, 400 epochs. COCO val box AP: 29.1 (paper).
_base_ = './detreg-deformable_r50_16xb2-50e_coco.py'
load_from = 'work_dirs/detreg-pretrain-deformable_r50_8xb24-50e_coco/epoch_50.pth'
# A subset as mmdet's tools/misc/split_coco.py writes it; 5 % are trained 500 epochs, 2 % 1,000, 1 % 2,000.
train_dataloader = dict(batch_size=3, dataset=dict(ann_file='semi_anns/instances_train2017.1@10.json'))
train_cfg = dict(max_epochs=400, val_interval=20)
param_scheduler = []  # the learning rate stays
auto_scale_lr = dict(base_batch_size=24)

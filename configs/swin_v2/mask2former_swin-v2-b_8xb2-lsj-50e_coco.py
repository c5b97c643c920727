# mmdet's Mask2Former on Swin v2-B (ImageNet-22k, window 12 to 16), instances, 50 epochs.
_base_ = ['../mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', '../_base_/models/backbones_dense.py']
model = dict(backbone=dict(**_base_.swin_v2_b, drop_path=0.3), panoptic_head=dict(in_channels=[128, 256, 512, 1024]))
optim_wrapper = dict(constructor='mmparts.ParamwiseConstructor', paramwise_cfg=dict(spare_norms=True))

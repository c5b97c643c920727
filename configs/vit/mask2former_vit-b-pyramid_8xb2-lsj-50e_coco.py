# mmdet's Mask2Former on a plain ViT-B with windows and the simple pyramid of ViTDet, instances, 50 epochs.
_base_ = ['../mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', '../_base_/models/backbones_dense.py']
model = dict(backbone=dict(**_base_.vit_b_pyramid), panoptic_head=dict(in_channels=[256] * 4))
optim_wrapper = dict(constructor='mmparts.ParamwiseConstructor', paramwise_cfg=dict(spare_norms=True))

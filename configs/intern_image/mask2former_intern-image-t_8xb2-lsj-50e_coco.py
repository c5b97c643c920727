# mmdet's Mask2Former on InternImage-T, instances, 50 epochs.
_base_ = ['../mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', '../_base_/models/backbones_dense.py']
model = dict(backbone=dict(**_base_.intern_image_t), panoptic_head=dict(in_channels=[64, 128, 256, 512]))
optim_wrapper = dict(constructor='mmparts.ParamwiseConstructor', paramwise_cfg=dict(spare_norms=True))

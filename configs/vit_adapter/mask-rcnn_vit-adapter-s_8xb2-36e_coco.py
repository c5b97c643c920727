# mmdet's Mask R-CNN on ViT-Adapter-S (DeiT), multi-scale, 36 epochs. COCO val box AP: 48.2 (paper).
_base_ = './mask-rcnn_vit-adapter-t_8xb2-36e_coco.py'
model = dict(backbone=dict(**_base_.vit_adapter_s), neck=dict(in_channels=[384] * 4))

# Mask2Former, ResNet-50, mmdet's own config: the peer of Mask DINO. COCO val PQ: 51.9 (paper). Needs panopticapi.
_base_ = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py'

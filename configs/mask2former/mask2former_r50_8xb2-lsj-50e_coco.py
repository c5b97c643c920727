# Mask2Former, ResNet-50, mmdet's own config: the peer of Mask DINO. COCO val mask AP: 43.7 (paper).
_base_ = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'

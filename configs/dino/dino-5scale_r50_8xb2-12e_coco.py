# DINO, ResNet-50, 5 scales (strides 4 to 64), 12 epochs. COCO val box AP: 49.4 (paper).
_base_ = './dino-4scale_r50_8xb2-12e_coco.py'
model = dict(num_levels=5, backbone=dict(out_indices=(0, 1, 2, 3)))

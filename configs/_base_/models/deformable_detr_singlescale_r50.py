# Deformable DETR on the last level of a ResNet-50 alone.
_base_ = './deformable_detr_r50.py'
model = dict(num_levels=1, backbone=dict(out_indices=(3,)))

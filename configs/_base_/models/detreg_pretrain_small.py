# DETReg's pre-training of Deformable DETR, small enough for two cores.
_base_ = ['./detreg_pretrain_deformable_r50.py', './small.py']
model = {{_base_.small_model}}

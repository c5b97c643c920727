# Co-Deformable-DETR, small enough for two cores.
_base_ = ['./co_deformable_detr_r50.py', './small.py']
model = {{_base_.small_model}}

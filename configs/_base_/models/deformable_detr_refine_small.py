# Deformable DETR with iterative refinement, small enough for two cores.
_base_ = ['./deformable_detr_refine_r50.py', './small.py']
model = {{_base_.small_model}}

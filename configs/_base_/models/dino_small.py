# DINO, small enough for two cores.
_base_ = ['./dino_r50.py', './small.py']
model = {{_base_.small_model}}

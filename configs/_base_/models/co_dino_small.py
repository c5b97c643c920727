# Co-DINO, small enough for two cores.
_base_ = ['./co_dino_r50.py', './small.py']
model = {{_base_.small_model}}

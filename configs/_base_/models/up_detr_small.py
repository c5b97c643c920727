# UP-DETR for fine-tuning, small enough for two cores.
_base_ = ['./up_detr_r50.py', './small.py']
model = {{_base_.small_model}}

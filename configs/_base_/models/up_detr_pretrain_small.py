# UP-DETR's pre-training, small enough for two cores.
_base_ = ['./up_detr_pretrain_r50.py', './small.py']
model = {{_base_.small_model}}

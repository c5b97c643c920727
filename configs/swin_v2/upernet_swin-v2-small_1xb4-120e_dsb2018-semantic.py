# UPerNet on a small Swin v2, from scratch on nuclei as one class.
_base_ = '../intern_image/upernet_intern-image-small_1xb4-120e_dsb2018-semantic.py'
model = dict(encoder=_base_.swin_v2)

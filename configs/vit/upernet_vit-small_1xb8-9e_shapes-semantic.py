# UPerNet on a small ViT with a simple pyramid, from scratch on the generated set.
_base_ = '../swin/upernet_swin-small_1xb8-9e_shapes-semantic.py'
model = dict(encoder=_base_.vit)

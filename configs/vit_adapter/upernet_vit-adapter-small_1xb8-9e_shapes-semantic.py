# UPerNet on a small ViT-Adapter, from scratch on the generated set.
_base_ = '../swin/upernet_swin-small_1xb8-9e_shapes-semantic.py'
model = dict(encoder=dict(**_base_.vit_adapter, add_vit='each'))

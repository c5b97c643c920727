# UPerNet on mmdet's ResNet-18 at half its width, from scratch on the generated set.
_base_ = '../swin/upernet_swin-small_1xb8-9e_shapes-semantic.py'
model = dict(encoder=dict(_delete_=True, type='mmdet.ResNet', depth=18, base_channels=32))

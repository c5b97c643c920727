# UPerNet on mmdet's ResNet-18 at half its width, from scratch on nuclei as one class.
_base_ = '../intern_image/upernet_intern-image-small_1xb4-120e_dsb2018-semantic.py'
model = dict(encoder=dict(_delete_=True, type='mmdet.ResNet', depth=18, base_channels=32))

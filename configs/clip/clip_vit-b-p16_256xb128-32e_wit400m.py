# CLIP ViT-B/16. Zero-shot ImageNet 68.3 (paper).
_base_ = './clip_vit-b-p32_256xb128-32e_wit400m.py'
model = dict(towers=dict(image=dict(backbone=dict(patch_size=16))))

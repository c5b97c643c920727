# CLIP RN101. Zero-shot ImageNet 62.3 (paper).
_base_ = './clip_rn50_256xb128-32e_wit400m.py'
model = dict(towers=dict(image=dict(backbone=dict(arch='rn101'))), projections=dict(text=512))

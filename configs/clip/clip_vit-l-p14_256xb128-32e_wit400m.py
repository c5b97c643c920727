# CLIP ViT-L/14. Zero-shot ImageNet 75.5 (paper).
_base_ = './clip_vit-b-p32_256xb128-32e_wit400m.py'
model = dict(
    towers=dict(image=dict(backbone=dict(arch='large', patch_size=14)), text=dict(embed_dims=768)),
    projections=dict(image=768, text=768),
)
optim_wrapper = dict(optimizer=dict(lr=4e-4))

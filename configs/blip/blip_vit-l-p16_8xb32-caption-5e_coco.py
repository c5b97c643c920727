# BLIP ViT-L/16 that writes captions of COCO. CIDEr 136.7 (paper).
_base_ = './blip_vit-b-p16_8xb32-caption-5e_coco.py'
model = dict(towers=dict(image=dict(backbone=dict(arch='large', drop_path=0.1))))
optim_wrapper = dict(optimizer=dict(lr=2e-6))

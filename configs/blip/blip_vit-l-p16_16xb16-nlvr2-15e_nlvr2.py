# BLIP ViT-L/16 that says whether a sentence is true of two images.
_base_ = './blip_vit-b-p16_16xb16-nlvr2-15e_nlvr2.py'
model = dict(towers=dict(image=dict(backbone=dict(arch='large', drop_path=0.1)), text=dict(memory_dims=1024)))

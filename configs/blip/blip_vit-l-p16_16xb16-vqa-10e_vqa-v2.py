# BLIP ViT-L/16 that writes answers.
_base_ = './blip_vit-b-p16_16xb16-vqa-10e_vqa-v2.py'
model = dict(towers=dict(image=dict(backbone=dict(arch='large', drop_path=0.1)), text=dict(memory_dims=1024)))

# BLIP ViT-L/16 that finds images and texts of COCO. R@1 65.1 of images, 82.4 of texts (paper).
_base_ = './blip_vit-b-p16_8xb32-retrieval-6e_coco.py'
model = dict(towers=dict(image=dict(backbone=dict(arch='large', drop_path=0.1)), text=dict(memory_dims=1024)))
optim_wrapper = dict(optimizer=dict(lr=5e-6))

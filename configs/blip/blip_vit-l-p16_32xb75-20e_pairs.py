# BLIP ViT-L/16 pre-trained on pairs of images and texts.
_base_ = './blip_vit-b-p16_32xb90-20e_pairs.py'
model = dict(towers=dict(image=dict(backbone=dict(arch='large', drop_path=0.1)), text=dict(memory_dims=1024)))
train_dataloader = dict(batch_size=75)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
auto_scale_lr = dict(base_batch_size=2400)

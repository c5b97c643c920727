# Swin v2-G, 3 billion parameters, at 192 pixels: recomputed blocks, extra norms. The paper had 70 million images.
_base_ = './swin-v2_t-w8_8xb128-300e_imagenet.py'
model = dict(backbone=dict(arch='giant', window_size=12, extra_norm_every=6, with_cp=True, drop_path=0.3))
train_dataloader = dict(batch_size=16)

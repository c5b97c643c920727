# R50+ViT-B/16, the hybrid whose patches are the places of a ResNet's map, fine-tuned at 384 pixels.
_base_ = './vit_b-p16_8xb64-20k_imagenet-384.py'
model = dict(backbone=dict(patch_size=1, stem=dict(type='mmparts.HybridResNet', num_blocks=(3, 4, 9)), dropout=0.1))

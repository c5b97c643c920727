# Permuted pixels: the patches of a ViT are of pixels from everywhere.
_base_ = './vit_small_1xb50-12e_glyphs.py'
model = dict(backbone=dict(seed=0))

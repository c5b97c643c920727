# Permuted pixels: the table of positions is permuted as the pixels are.
_base_ = './perceiver-learned_small_1xb50-12e_glyphs.py'
model = dict(backbone=dict(seed=0))

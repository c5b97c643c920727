# Permuted pixels: a Perceiver that keeps the positions of its pixels sees the same set.
_base_ = './perceiver-fourier_small_1xb50-12e_glyphs.py'
model = dict(backbone=dict(seed=0))

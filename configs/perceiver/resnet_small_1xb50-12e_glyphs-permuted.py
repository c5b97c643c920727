# Permuted pixels: a ResNet loses what lies beside what.
_base_ = './resnet_small_1xb50-12e_glyphs.py'
model = dict(backbone=dict(seed=0))

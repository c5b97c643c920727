# Perceiver IO on the map of a small convolutional stem. Top-1 82.1 (paper).
_base_ = './perceiver-io_fourier_8xb128-110e_imagenet.py'
model = dict(backbone=dict(inputs=dict(features=dict(type='mmparts.ConvStem'), position=dict(max_resolution=(56, 56)))))

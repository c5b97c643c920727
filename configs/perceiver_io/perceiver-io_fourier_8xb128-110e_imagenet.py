# Perceiver IO on the pixels of an image, with Fourier features of their places. Top-1 79.0 (paper).
_base_ = [
    '../_base_/models/perceiver_io.py',
    '../_base_/datasets/imagenet_perceiver.py',
    '../_base_/schedules/schedule_lamb_110e.py',
    '../_base_/classification_runtime.py',
]
model = dict(mixing=dict(type='mmparts.Mixing', mixup=0.2, cutmix=1.0))

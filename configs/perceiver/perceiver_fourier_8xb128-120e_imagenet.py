# Perceiver on the 50,176 pixels of an image, with Fourier features of their places. Top-1 78.0 (paper).
_base_ = [
    '../_base_/models/perceiver.py',
    '../_base_/datasets/imagenet_perceiver.py',
    '../_base_/schedules/schedule_lamb_120e.py',
    '../_base_/classification_runtime.py',
]

# Swin UNETR, version 2: a residual convolution block before every stage.
_base_ = [
    '../_base_/models/swin_unetr.py',
    '../_base_/datasets/brats2021.py',
    '../_base_/schedules/schedule_warmup_cosine_300e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(encoder=dict(conv=True))

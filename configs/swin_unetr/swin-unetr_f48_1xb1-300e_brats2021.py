# Swin UNETR on BraTS 2021; mean Dice 89.7 over its five folds (paper), README of its code.
_base_ = [
    '../_base_/models/swin_unetr.py',
    '../_base_/datasets/brats2021.py',
    '../_base_/schedules/schedule_warmup_cosine_300e.py',
    '../_base_/segmentation_runtime.py',
]

# BAT on skin lesions of ISIC 2018 at 512 x 512.
_base_ = [
    '../_base_/models/bat.py',
    '../_base_/datasets/isic2018.py',
    '../_base_/schedules/schedule_adam_200e.py',
    '../_base_/segmentation_runtime.py',
]

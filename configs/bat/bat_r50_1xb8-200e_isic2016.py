# BAT on skin lesions of ISIC 2016 at 512 x 512; PH2 Dice .921, IoU .858 (paper), README of its code.
_base_ = [
    '../_base_/models/bat.py',
    '../_base_/datasets/isic2016.py',
    '../_base_/schedules/schedule_adam_200e.py',
    '../_base_/segmentation_runtime.py',
]
terms = [dict(type='mmparts.SoftDiceTerm', squared=True, over_batch=True)]
model = dict(terms=[*terms, dict(type='mmparts.KeyPointTerm', threshold=0.0)])

# UNETR as the table of BraTS 2021 has it: Dice 84.51 (paper) of VT-UNet, its own split.
_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/brats2021.py',
    '../_base_/schedules/schedule_warmup_cosine_300e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=4,
    num_classes=3,
    encoder=dict(image_size=128),
    head=dict(type='mmparts.RegionHead', num_classes=3),
    terms=[dict(type='mmparts.SoftDiceTerm', squared=True), dict(type='mmparts.BinaryCrossEntropyTerm')],
    inference=dict(size=(128, 128, 128)),
)

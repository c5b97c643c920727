# UPerNet on a small Swin, from scratch on the generated set.
_base_ = [
    '../_base_/models/upernet_small.py',
    '../_base_/models/backbones_small.py',
    '../_base_/datasets/shapes_semantic.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(encoder=_base_.swin)

# DETR with masks, small, from scratch on the generated set (tools/make_shapes.py), boxes and masks.
_base_ = [
    '../_base_/models/detr_masks_r50.py',
    '../_base_/models/small.py',
    '../_base_/datasets/shapes_instance.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = {{_base_.small_model}}

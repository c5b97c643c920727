# Cell-DETR A, small, from scratch on the generated set (tools/make_shapes.py), boxes and masks.
_base_ = [
    '../_base_/models/cell_detr_small.py',
    '../_base_/datasets/shapes_instance.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]

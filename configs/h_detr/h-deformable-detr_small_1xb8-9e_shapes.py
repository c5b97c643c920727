# H-Deformable-DETR, small, from scratch on the generated set (tools/make_shapes.py).
_base_ = [
    '../_base_/models/h_detr_small.py',
    '../_base_/datasets/shapes_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = dict(groups=[dict(type='mmparts.OneToMany', num=150, repeat=6)])

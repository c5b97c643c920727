# SMCA-DETR of three levels, small, from scratch on the generated set (tools/make_shapes.py).
_base_ = [
    '../_base_/models/smca_detr_multiscale_r50.py',
    '../_base_/models/small.py',
    '../_base_/datasets/shapes_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = {{_base_.small_model}}

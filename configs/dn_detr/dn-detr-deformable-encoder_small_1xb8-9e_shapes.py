# DN-DETR on four levels, deformable encoder, dense decoder, small, from scratch on the set of tools/make_shapes.py.
_base_ = [
    '../_base_/models/dn_detr_deformable_encoder_r50.py',
    '../_base_/models/small.py',
    '../_base_/datasets/shapes_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = {{_base_.small_model}}

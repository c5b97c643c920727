# DETReg, small, fine-tuning on the generated set what detreg-pretrain-deformable_small_1xb8-9e_shapes.py has trained.
_base_ = [
    '../_base_/models/deformable_detr_r50.py',
    '../_base_/models/small.py',
    '../_base_/datasets/shapes_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/fine_tune.py',
    '../_base_/detection_runtime.py',
]
model = {{_base_.small_model}}
load_from = 'work_dirs/detreg-pretrain-deformable_small_1xb8-9e_shapes/epoch_9.pth'
default_hooks = dict(fine_tune={{_base_.fine_tune}})

# UP-DETR, small, fine-tuning on the generated set what up-detr-pretrain_small_1xb8-9e_shapes.py has trained.
_base_ = [
    '../_base_/models/up_detr_small.py',
    '../_base_/datasets/shapes_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/fine_tune.py',
    '../_base_/detection_runtime.py',
]
load_from = 'work_dirs/up-detr-pretrain_small_1xb8-9e_shapes/epoch_9.pth'
default_hooks = dict(fine_tune={{_base_.fine_tune}})

# Deformable DETR, ResNet-50, 4 scales, iterative box refinement, two stages, 50 epochs. COCO val box AP: 46.9 (paper).
_base_ = [
    '../_base_/models/deformable_detr_refine_twostage_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_deformable_50e.py',
    '../_base_/detection_runtime.py',
]
# Two stages have no learned points, whose rate the schedule lowers.
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(_delete_=True, backbone=dict(lr_mult=0.1, decay_mult=1.0), sampling_offsets=dict(lr_mult=0.1))
    )
)

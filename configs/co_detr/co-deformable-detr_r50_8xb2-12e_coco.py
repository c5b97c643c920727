# Co-Deformable-DETR, ResNet-50, with Faster R-CNN and ATSS, 12 epochs. COCO val box AP: 49.5 (paper).
_base_ = [
    '../_base_/models/co_deformable_detr_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_12e.py',
    '../_base_/detection_runtime.py',
]
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(custom_keys={'sampling_offsets': dict(lr_mult=0.1)}))

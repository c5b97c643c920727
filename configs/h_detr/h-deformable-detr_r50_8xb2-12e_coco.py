# H-Deformable-DETR, ResNet-50, 300 + 1500 queries, 12 epochs. COCO val box AP: 48.7 (paper).
_base_ = [
    '../_base_/models/h_detr_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_12e.py',
    '../_base_/detection_runtime.py',
]
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(custom_keys={'sampling_offsets': dict(lr_mult=0.1)}))

# DN-DETR-DC5, ResNet-50 with stride 16, three patterns for each anchor, 12 epochs. COCO val box AP: 41.7 (paper).
_base_ = [
    '../_base_/models/dn_detr_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_12e.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    backbone=dict(type='mmseg.ResNet', strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), contract_dilation=True),
    queries=dict(num_patterns=3),
)

# Co-DINO, ResNet-50, 5 scales, with Faster R-CNN and ATSS, 12 epochs. COCO val box AP: 52.1 (paper).
_base_ = [
    '../_base_/models/co_dino_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_12e.py',
    '../_base_/detection_runtime.py',
]
model = dict(encoder=dict(with_cp=True))
optim_wrapper = dict(optimizer=dict(lr=2e-4))

# DETR with masks, ResNet-50, boxes and masks trained together, 150 epochs.
_base_ = [
    '../_base_/models/detr_masks_r50.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_150e.py',
    '../_base_/detection_runtime.py',
]

# Mask DINO, ResNet-50, 4 levels, 50 epochs. COCO val PQ: 53.0 (paper).
_base_ = [
    '../_base_/models/mask_dino_r50.py',
    '../_base_/datasets/coco_panoptic.py',
    '../_base_/schedules/schedule_mask_50e.py',
    '../_base_/detection_runtime.py',
]
things = {{_base_.things}}
model = dict(
    num_classes=133,
    queries=dict(boxes_from_masks=False),
    head=dict(select=dict(things=things), maps=[dict(type='mmparts.PanopticMap', things=things, num_classes=133)]),
)

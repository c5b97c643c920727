# Mask DINO, small, from scratch on the generated set (tools/make_shapes.py), objects and stuff.
_base_ = [
    '../_base_/models/mask_dino_small.py',
    '../_base_/datasets/shapes_panoptic.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
things, num_classes = {{_base_.things}}, 11
model = dict(
    num_classes=num_classes,
    groups=[dict(type='mmparts.Denoising', num=30, label_noise=0.2, box_noise=0.4, contrastive=False, spare_row=False)],
    queries=dict(boxes_from_masks=False),
    head=dict(
        branches=dict(masks=dict(num_points=512)),
        select=dict(things=things),
        maps=[dict(type='mmparts.PanopticMap', things=things, num_classes=num_classes)],
    ),
)

# Mask DINO, small, from scratch on the generated set (tools/make_shapes.py), boxes and masks.
_base_ = [
    '../_base_/models/mask_dino_small.py',
    '../_base_/datasets/shapes_instance.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    groups=[dict(type='mmparts.Denoising', num=30, label_noise=0.2, box_noise=0.4, contrastive=False, spare_row=False)],
    head=dict(branches=dict(masks=dict(num_points=512))),
)

# Co-DINO, small, 4 scales, from scratch on the generated set (tools/make_shapes.py).
_base_ = [
    '../_base_/models/co_dino_small.py',
    '../_base_/datasets/shapes_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    num_levels=4,
    backbone=dict(out_indices=(1, 2, 3)),
    groups=[
        dict(type='mmparts.Denoising', num=50, spare_row=False),
        dict(
            type='mmparts.Collaborative',
            num=100,
            weight=4.0,  # 2 decoder layers x lambda_2 = 2
            heads=[{{_base_.rcnn}}, {{_base_.atss}}],
        ),
    ],
)

# Co-Deformable-DETR, small, from scratch on the generated set (tools/make_shapes.py).
_base_ = [
    '../_base_/models/co_deformable_detr_small.py',
    '../_base_/datasets/shapes_detection.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    groups=[
        dict(
            type='mmparts.Collaborative',
            num=100,
            embed_boxes=True,
            embed_features=True,
            weight=4.0,  # 2 decoder layers x lambda_2 = 2
            heads=[{{_base_.rcnn}}, {{_base_.atss}}],
        )
    ]
)

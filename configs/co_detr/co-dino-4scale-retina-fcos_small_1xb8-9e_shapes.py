# Co-DINO, small, 4 scales, with RetinaNet and FCOS in place of Faster R-CNN and ATSS, on the generated set.
_base_ = './co-dino-4scale_small_1xb8-9e_shapes.py'
model = dict(
    groups=[
        dict(type='mmparts.Denoising', num=50, spare_row=False),
        dict(
            type='mmparts.Collaborative',
            num=100,
            weight=4.0,  # 2 decoder layers x lambda_2 = 2
            heads=[{{_base_.retina}}, {{_base_.fcos}}],
        ),
    ]
)

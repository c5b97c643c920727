# Co-DINO with H-DETR's group beside its own: denoised, one-to-many and collaborative queries in one decoder, small.
_base_ = '../co_detr/co-dino-4scale_small_1xb8-9e_shapes.py'
model = dict(
    groups=[
        dict(type='mmparts.Denoising', num=50, spare_row=False),
        dict(type='mmparts.OneToMany', num=60, repeat=6),
        dict(type='mmparts.Collaborative', num=100, weight=4.0, heads=[{{_base_.rcnn}}, {{_base_.atss}}]),
    ]
)

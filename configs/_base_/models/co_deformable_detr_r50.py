# Co-Deformable-DETR with a ResNet-50: H-DETR's tricks, collaborating with Faster R-CNN and ATSS in training.
_base_ = ['./h_detr_r50.py', './co_heads.py']
model = dict(
    neck=dict(bias='auto'),  # none, as a norm follows
    groups=[
        dict(
            type='mmparts.Collaborative',
            embed_boxes=True,
            embed_features=True,
            weight=12.0,  # 6 decoder layers x lambda_2 = 2
            heads=[{{_base_.rcnn}}, {{_base_.atss}}],
        )
    ],
)

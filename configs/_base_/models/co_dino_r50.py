# Co-DINO with a ResNet-50, five levels: DINO, collaborating with Faster R-CNN and ATSS in training.
_base_ = ['./dino_r50.py', './co_heads.py']
model = dict(
    num_levels=5,
    backbone=dict(out_indices=(0, 1, 2, 3)),
    neck=dict(bias='auto'),  # none, as a norm follows
    queries=dict(content_std=1.0),
    groups=[
        dict(type='mmparts.Denoising', num=100, label_noise=0.25, box_noise=1.0, contrastive=True, spare_row=False),
        dict(
            type='mmparts.Collaborative',
            finest_stride=4,
            weight=12.0,  # 6 decoder layers x lambda_2 = 2
            heads=[{{_base_.rcnn}}, {{_base_.atss}}],
        ),
    ],
    head=dict(
        share_branches=False,
        terms=[
            dict(type='mmparts.QualityFocalTerm', weight=1.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
        ],
        select=dict(type='mmparts.SoftNMSSelection', num=300, iou_threshold=0.8),
    ),
)

# SMCA-DETR with a ResNet-50, one level at stride 32: DETR whose queries look around centres that they predict.
_base_ = './detr_r50.py'
model = dict(
    num_queries=300,
    decoder=dict(
        cross_attn=dict(type='mmparts.GaussianCrossAttention'), spatial_prior=dict(type='mmparts.GaussianPrior')
    ),
    head=dict(
        no_object=False,
        terms=[
            dict(type='mmparts.FocalTerm', weight=2.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
        ],
        matcher=dict(
            costs=[
                dict(type='mmparts.FocalCost', weight=2.0),
                dict(type='mmparts.BoxL1Cost', weight=5.0),
                dict(type='mmparts.GIoUCost', weight=2.0),
            ]
        ),
        select=dict(type='mmparts.TopKSelection', num=300),
    ),
)

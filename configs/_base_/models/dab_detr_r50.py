# DAB-DETR with a ResNet-50, one level at stride 32: queries are anchor boxes, refined from layer to layer.
_base_ = './detr_r50.py'
model = dict(
    num_queries=300,
    logit_eps=1e-3,
    encoder=dict(
        dropout=0.0,
        act_cfg=dict(type='PReLU'),
        positional_encoding=dict(type='SinePositionalEncoding', temperature=20, normalize=True),
        scale_positions=True,
    ),
    queries=dict(type='mmparts.AnchorQueries'),
    decoder=dict(
        dropout=0.0,
        act_cfg=dict(type='PReLU'),
        self_attn=dict(type='mmparts.ConditionalSelfAttention'),
        cross_attn=dict(type='mmparts.ConditionalCrossAttention'),
        position=dict(type='mmparts.ConditionalPosition'),
        reference_update=dict(type='mmparts.LookForwardTwice'),
    ),
    head=dict(
        no_object=False,
        size_bias=0.0,
        terms=[
            dict(type='mmparts.FocalTerm', weight=1.0),
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

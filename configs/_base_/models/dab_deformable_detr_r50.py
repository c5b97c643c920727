# DAB-Deformable-DETR with a ResNet-50, four levels: Deformable DETR with refinement whose queries are anchor boxes.
_base_ = './deformable_detr_refine_r50.py'
model = dict(
    logit_eps=1e-3,
    encoder=dict(ffn_channels=2048, dropout=0.0),
    queries=dict(type='mmparts.AnchorQueries', content='learned'),
    decoder=dict(ffn_channels=2048, dropout=0.0, position=dict(type='mmparts.BoxPosition', scale_positions=True)),
    head=dict(
        terms=[
            dict(type='mmparts.FocalTerm', weight=1.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
        ],
        select=dict(num=300),
    ),
)

# DINO with a ResNet-50, four levels: mixed query selection, contrastive denoising, look forward twice.
_base_ = './deformable_detr_r50.py'
model = dict(
    num_queries=900,
    logit_eps=1e-3,
    encoder=dict(
        ffn_channels=2048,
        dropout=0.0,
        positional_encoding=dict(type='SinePositionalEncoding', temperature=20, normalize=True),
    ),
    queries=dict(type='mmparts.TopKQueries', mixed_selection=True, embed_boxes=False, class_agnostic=False),
    groups=[dict(type='mmparts.Denoising', num=100, label_noise=0.25, box_noise=1.0, contrastive=True)],
    decoder=dict(
        ffn_channels=2048,
        dropout=0.0,
        reference_update=dict(type='mmparts.LookForwardTwice'),
        position=dict(type='mmparts.BoxPosition'),
        output_norm=True,
    ),
    head=dict(
        size_bias=0.0,
        terms=[
            dict(type='mmparts.FocalTerm', weight=1.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
        ],
        select=dict(type='mmparts.TopKSelection', num=300),
    ),
)

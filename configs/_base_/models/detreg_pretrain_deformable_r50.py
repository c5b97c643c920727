# DETReg's pre-training of Deformable DETR: find proposals, tell the second stage's description of them.
_base_ = './deformable_detr_r50.py'
model = dict(
    type='mmparts.PretextDetector',
    num_classes=91,
    stage='layer2',
    head=dict(
        branches=dict(embeddings=dict(type='mmparts.EmbeddingBranch')),
        terms=[
            dict(type='mmparts.FocalTerm', weight=2.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.EmbeddingTerm', weight=1.0),
        ],
    ),
)

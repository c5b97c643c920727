# DETReg's pre-training of DETR with its norms before attention and feed-forward.
_base_ = './detreg_detr_r50.py'
model = dict(
    type='mmparts.PretextDetector',
    num_classes=91,
    stage='layer2',
    head=dict(
        branches=dict(embeddings=dict(type='mmparts.EmbeddingBranch')),
        terms=[
            dict(type='mmparts.SoftmaxTerm', weight=1.0, no_object_weight=0.1),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.EmbeddingTerm', weight=1.0),
        ],
    ),
)

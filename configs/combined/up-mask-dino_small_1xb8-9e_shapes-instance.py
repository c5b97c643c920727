# Mask DINO that also tells how each object looks, small: UP-DETR's embeddings beside classes, boxes and masks of the
# same queries. The backbone describes the objects, and is frozen.
_base_ = '../mask_dino/mask-dino_small_1xb8-9e_shapes-instance.py'
model = dict(
    type='mmparts.PretextDetector',
    stage='layer4',
    adapt_norms=True,
    head=dict(
        branches=dict(embeddings=dict(type='mmparts.EmbeddingBranch')),
        terms=[
            dict(type='mmparts.FocalTerm', weight=4.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.PointTerm', weight=5.0),
            dict(type='mmparts.PointDiceTerm', weight=5.0),
            dict(type='mmparts.ReconstructionTerm', weight=1.0),
        ],
    ),
)

train_pipeline = [
    _base_.load_image,
    _base_.load_masks,
    dict(type='mmparts.AnnotatedPatches'),
    _base_.flip,
    _base_.resize,
    dict(type='mmparts.CutPatches', size=64),
    dict(type='mmparts.PackPatches'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# UP-DETR's pre-training: find ten random patches of an image. Of two classes only the second is used.
_base_ = './up_detr_r50.py'
model = dict(
    type='mmparts.PretextDetector',
    num_classes=2,
    stage='layer4',
    prompt=dict(type='mmparts.PatchPrompt', num_patches=10, mask_ratio=0.1),
    head=dict(
        branches=dict(embeddings=dict(type='mmparts.EmbeddingBranch')),
        terms=[
            dict(type='mmparts.SoftmaxTerm', weight=1.0, no_object_weight=0.1),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.ReconstructionTerm', weight=1.0),
        ],
    ),
)

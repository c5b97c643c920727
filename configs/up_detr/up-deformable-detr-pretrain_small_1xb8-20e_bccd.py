# UP-DETR pre-training of Deformable DETR, small, on the blood cells of BCCD without labels. Its worth: README.md.
_base_ = [
    '../_base_/models/deformable_detr_refine_small.py',
    '../_base_/models/shapes_backbone.py',
    '../_base_/datasets/unlabelled_bccd.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    type='mmparts.PretextDetector',
    num_classes=2,
    num_queries=60,
    stage='layer4',
    adapt_norms=True,  # the backbone comes from images of another kind
    backbone=dict(init_cfg={{_base_.shapes_backbone}}),
    prompt=dict(type='mmparts.PatchPrompt', num_patches={{_base_.num_patches}}, mask_ratio=0.1),
    head=dict(
        branches=dict(embeddings=dict(type='mmparts.EmbeddingBranch')),
        terms=[
            dict(type='mmparts.FocalTerm', weight=1.0),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.ReconstructionTerm', weight=1.0),
        ],
    ),
)
val_cfg = test_cfg = None

train_cfg = dict(max_epochs=20)

# UP-DETR's pre-training of a DAB-DETR: its anchor queries learn to find patches of images without labels, small.
_base_ = '../dab_detr/dab-detr_small_1xb8-9e_shapes.py'
model = dict(
    type='mmparts.PretextDetector',
    num_classes=2,
    stage='layer4',
    prompt=dict(type='mmparts.PatchPrompt', num_patches=10, mask_ratio=0.1),
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

train_pipeline = [
    _base_.load_image,
    dict(type='mmparts.RandomPatchBoxes', num=10),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='mmparts.CutPatches', size=64),
    dict(type='mmparts.PackPatches'),
]
train_dataloader = dict(
    batch_sampler=None,
    dataset=dict(
        _delete_=True,
        type='mmparts.UnlabelledImages',
        data_root='data/shapes/',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    ),
)
val_cfg = test_cfg = val_dataloader = test_dataloader = val_evaluator = test_evaluator = None  # nothing to evaluate

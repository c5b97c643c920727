# Images of a folder without labels, proposals as objects (DETReg). Folder: --cfg-options data_root=FOLDER.
_base_ = './unlabelled.py'

crop_scales = [(400, 4200), (500, 4200), (600, 4200)]  # in effect no limit on the longer side
train_pipeline = [
    _base_.load_image,
    dict(type='mmparts.ProposalBoxes', source=dict(type='mmparts.SelectiveSearch'), strategy='topk', num=30),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomChoice',
        transforms=[
            [_base_.choose_size],
            [
                dict(type='RandomChoiceResize', scales=crop_scales, keep_ratio=True),
                dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600)),
                _base_.choose_size,
            ],
        ],
    ),
    dict(type='mmparts.CutPatches', size=128, minimum=2),
    _base_.pack_patches,
]
train_dataloader = dict(batch_size=24, num_workers=12, dataset=dict(pipeline=train_pipeline))

# Pictures of a folder without labels, proposals as objects (DETReg). Folder: --cfg-options data_root=FOLDER.
data_root = 'data/imagenet/'

scales = [
    (320, 600),
    (336, 600),
    (352, 600),
    (368, 600),
    (400, 600),
    (416, 600),
    (432, 600),
    (448, 600),
    (464, 600),
    (480, 600),
]
crop_scales = [(400, 4200), (500, 4200), (600, 4200)]  # in effect no limit on the longer side
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.ProposalBoxes', source=dict(type='mmparts.SelectiveSearch'), strategy='topk', num=30),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='RandomChoiceResize', scales=scales, keep_ratio=True)],
            [
                dict(type='RandomChoiceResize', scales=crop_scales, keep_ratio=True),
                dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600)),
                dict(type='RandomChoiceResize', scales=scales, keep_ratio=True),
            ],
        ],
    ),
    dict(type='mmparts.CutPatches', size=128, minimum=2),
    dict(type='mmparts.PackPatches'),
]
train_dataloader = dict(
    batch_size=24,
    num_workers=12,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmparts.UnlabelledImages', data_root=data_root, data_prefix=dict(img='train/'), pipeline=train_pipeline
    ),
)

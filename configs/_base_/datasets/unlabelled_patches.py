# Pictures of a folder without labels, UP-DETR's random patches as objects. Folder: --cfg-options data_root=FOLDER.
data_root = 'data/imagenet/'
num_patches = 10

train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmparts.RandomPatchBoxes', num=num_patches),
    dict(
        type='RandomChoiceResize',
        keep_ratio=True,
        scales=[
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
        ],
    ),
    dict(type='mmparts.CutPatches', size=128),
    dict(type='mmparts.PackPatches'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmparts.UnlabelledImages', data_root=data_root, data_prefix=dict(img='train/'), pipeline=train_pipeline
    ),
)

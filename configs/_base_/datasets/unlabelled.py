# Images of a folder without labels; who builds on it says what the objects are. --cfg-options data_root=FOLDER.
data_root = 'data/imagenet/'
load_image = dict(type='mmparts.LoadCheckedImage')
pack_patches = dict(type='mmparts.PackPatches')
small_scales = [(side, 600) for side in (320, 336, 352, 368, 400, 416, 432, 448, 464, 480)]
choose_size = dict(type='RandomChoiceResize', scales=small_scales, keep_ratio=True)
train_dataloader = dict(
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmparts.UnlabelledImages', data_root=data_root, data_prefix=dict(img='train/')),
)

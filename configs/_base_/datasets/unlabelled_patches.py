# Images of a folder without labels, UP-DETR's random patches as objects. Folder: --cfg-options data_root=FOLDER.
_base_ = './unlabelled.py'
num_patches = 10

train_pipeline = [
    _base_.load_image,
    dict(type='mmparts.RandomPatchBoxes', num=num_patches),
    _base_.choose_size,
    dict(type='mmparts.CutPatches', size=128),
    _base_.pack_patches,
]
train_dataloader = dict(batch_size=32, num_workers=8, dataset=dict(pipeline=train_pipeline))

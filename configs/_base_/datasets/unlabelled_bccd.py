# The blood cells of BCCD without their labels, as in bccd_detection.py; ten patches of each image.
_base_ = './unlabelled_patches.py'
data_root = 'data/bccd/'
train_pipeline = [
    _base_.load_image,
    dict(type='mmparts.RandomPatchBoxes', num=_base_.num_patches),
    dict(type='Resize', scale=(192, 144), keep_ratio=True),
    dict(type='mmparts.CutPatches', size=64),
    _base_.pack_patches,
]
train_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(data_root=data_root, pipeline=train_pipeline))

# Hippocampus of the Medical Segmentation Decathlon (Task04): anterior and posterior part, MR, 1 mm, patches.
_base_ = './volumes.py'
data_root = 'data/msd_hippocampus_3d/'
patch_size = (32, 48, 32)  # most of a case; the largest is 43 x 55 x 39

train_pipeline = [
    *_base_.load,
    dict(type='mmparts.ZScore'),
    dict(type='mmparts.RandomPatch', size=patch_size),
    dict(type='mmparts.RandomSpatial'),
    *_base_.intensity_changes,
    _base_.pack,
]
test_pipeline = [_base_.load_image, dict(type='mmparts.ZScore'), _base_.load_label, _base_.pack]
train_dataloader = dict(dataset=dict(data_root=data_root, layout='dataset_json', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, layout='dataset_json', pipeline=test_pipeline))
test_dataloader = val_dataloader

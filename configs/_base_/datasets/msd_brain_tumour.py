# Brain tumours of the Medical Segmentation Decathlon (Task01): its own labels and order of modalities; 128 x 128 x 128,
# augmented as nnU-Net does, every third patch around a tumour.
_base_ = './brats2021.py'
data_root = 'data/Task01_BrainTumour/'
metainfo = dict(
    modalities=('FLAIR', 'T1w', 'T1gd', 'T2w'),
    labels=dict(background=0, edema=1, non_enhancing=2, enhancing=3),
    regions=dict(WT=('edema', 'non_enhancing', 'enhancing'), TC=('non_enhancing', 'enhancing'), ET=('enhancing',)),
)
train_pipeline = [
    *_base_.load,
    *_base_.normalise,
    dict(type='mmparts.FindForeground'),
    dict(type='mmparts.RandomPatch', size=_base_.patch_size),
    dict(type='mmparts.RandomSpatial'),
    *_base_.intensity_changes,
    dict(type='mmparts.RandomMirror'),
    _base_.pack,
]
dataset = dict(data_root=data_root, layout=dict(_delete_=True, type='dataset_json'), metainfo=metainfo)
train_dataloader = dict(dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader

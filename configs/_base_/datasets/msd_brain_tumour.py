# Brain tumours of the Medical Segmentation Decathlon (Task01): its own labels and order of modalities; 128 x 128 x 128.
_base_ = './brats2021.py'
data_root = 'data/Task01_BrainTumour/'
metainfo = dict(
    modalities=('FLAIR', 'T1w', 'T1gd', 'T2w'),
    labels=dict(background=0, edema=1, non_enhancing=2, enhancing=3),
    regions=dict(WT=('edema', 'non_enhancing', 'enhancing'), TC=('non_enhancing', 'enhancing'), ET=('enhancing',)),
)
dataset = dict(data_root=data_root, layout=dict(_delete_=True, type='dataset_json'), metainfo=metainfo)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader

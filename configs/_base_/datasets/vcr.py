# VCR, the best of four answers, over regions of a detector of ours, in data/vcr/regions. Another folder: --cfg-options
# data_root=FOLDER, which holds train.jsonl, val.jsonl and vcr1images.
_base_ = './loaders.py'
data_root = 'data/vcr/'
load = dict(type='mmparts.LoadRegions', folder='data/vcr/regions/', images='data/vcr/vcr1images/', most=100)
pipeline = [load, dict(type='mmparts.PackMultimodal', keys=('regions',))]
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    drop_last=True,
    dataset=dict(
        type='mmparts.VcrChoices',
        data_root=data_root,
        ann_file='train.jsonl',
        data_prefix=dict(img='vcr1images/'),
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type='mmparts.VcrChoices',
        data_root=data_root,
        ann_file='val.jsonl',
        data_prefix=dict(img='vcr1images/'),
        test_mode=True,
        pipeline=pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.TopKAccuracy', topk=(1,))
test_evaluator = val_evaluator

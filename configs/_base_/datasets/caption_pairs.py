# COCO's captions, two in a text, with regions that `mmparts data regions` wrote into regions/. Another folder:
# --cfg-options data_root=FOLDER, which holds annotations/, train2017/, val2017/ and regions/ with those two.
_base_ = './loaders.py'
data_root = 'data/coco/'
load = dict(type='mmparts.LoadRegions', folder='data/coco/regions/', images='data/coco/')
pipeline = [load, dict(type='mmparts.PackMultimodal', texts='first', keys=('regions',))]
train_dataloader = dict(
    batch_size=12,
    drop_last=True,
    dataset=dict(
        type='mmparts.CaptionPairs',
        data_root=data_root,
        ann_file='annotations/captions_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=12,
    dataset=dict(
        type='mmparts.CaptionPairs',
        data_root=data_root,
        ann_file='annotations/captions_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = []  # the losses of the validation
test_evaluator = val_evaluator

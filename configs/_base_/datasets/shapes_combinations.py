# The set of shapes_captions.py as boxes, with a class for each name of colour and kind: training and validation know
# the seen ones, the test the ten unseen ones. Another folder: --cfg-options data_root=FOLDER.
_base_ = './coco_style.py'
data_root = 'data/shapes_captions/'
scale = (64, 64)
resize = dict(type='Resize', scale=scale, keep_ratio=True)
unseen = (
    'red circle',
    'blue star',
    'green ring',
    'yellow cross',
    'purple square',
    'orange triangle',
    'cyan circle',
    'pink star',
    'white ring',
    'black cross',
)
colours = ('red', 'orange', 'yellow', 'green', 'cyan', 'blue', 'purple', 'pink', 'white', 'black')
kinds = ('circle', 'square', 'triangle', 'star', 'ring', 'cross')
names = [f'{colour} {kind}' for colour in colours for kind in kinds]
seen = [name for name in names if name not in unseen]

train_pipeline = [_base_.load_image, _base_.load_boxes, _base_.flip, resize, _base_.pack]
test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]
of_seen = dict(data_root=data_root, metainfo=dict(classes=seen), ignore_categories='*', allow_missing='*')
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        ann_file='annotations/combinations_train.json', indices=list(range(2000)), pipeline=train_pipeline, **of_seen
    ),
)
val_dataloader = dict(
    batch_size=16, dataset=dict(ann_file='annotations/combinations_val.json', pipeline=test_pipeline, **of_seen)
)
test_dataloader = dict(
    batch_size=16,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/combinations_unseen.json',
        data_prefix=dict(img='unseen/'),
        metainfo=dict(classes=unseen),
        ignore_categories='*',
        allow_missing='*',
        pipeline=test_pipeline,
    ),
)

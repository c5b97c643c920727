# Flickr30K Entities, phrases and the regions that they mean, in data/flickr30k/regions. Another folder: --cfg-options
# data_root=FOLDER, which holds train.txt, val.txt, test.txt, Sentences, Annotations and flickr30k-images.
_base_ = './loaders.py'
data_root = 'data/flickr30k/'
load = dict(
    type='mmparts.LoadRegions',
    folder='data/flickr30k/regions/',
    images='data/flickr30k/flickr30k-images/',
    most=100,
    add_boxes=True,
)
tokenizer = dict(type='mmparts.BertTokenizer', context_length=128)
pack = dict(type='mmparts.PackPhrases', tokenizer=tokenizer)
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    drop_last=True,
    dataset=dict(
        type='mmparts.Flickr30kEntities',
        data_root=data_root,
        ann_file='train.txt',
        data_prefix=dict(img='flickr30k-images/'),
        pipeline=[load, pack],
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type='mmparts.Flickr30kEntities',
        data_root=data_root,
        ann_file='val.txt',
        data_prefix=dict(img='flickr30k-images/'),
        test_mode=True,
        pipeline=[load, dict(pack, every=True)],
    ),
)
test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type='mmparts.Flickr30kEntities',
        data_root=data_root,
        ann_file='test.txt',
        data_prefix=dict(img='flickr30k-images/'),
        test_mode=True,
        pipeline=[load, dict(pack, every=True)],
    ),
)
val_evaluator = dict(type='mmparts.PhraseRecall')
test_evaluator = val_evaluator

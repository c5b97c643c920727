# The generated set "shapes", phrases like 'the red circle' for each object that is alone of its name in its image; the
# test has ten names that training never had:
# python tools/make_shapes.py --out data/shapes_phrases --images 16000 --size 96 --objects 3 --smallest 0.3 \
#   --captions names --unseen \
#   "red circle, blue star, green ring, yellow cross, purple square, orange triangle, cyan circle, pink star, \
#   white ring, black cross"
# Another folder: --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/shapes_phrases/'
load = dict(type='mmparts.LoadCheckedImage')
resize = dict(type='mmcv.Resize', scale=(96, 96), interpolation='bicubic', backend='pillow')
pack = dict(type='mmparts.PackMultimodal', texts='first')
train_pipeline = [load, resize, dict(type='RandomFlip', prob=0.5), pack]
test_pipeline = [load, resize, pack]
of_names = dict(type='mmparts.NamedObjects', data_root=data_root)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    drop_last=True,
    dataset=dict(
        ann_file='annotations/combinations_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
        **of_names,
    ),
)
seen = dict(ann_file='annotations/combinations_val.json', data_prefix=dict(img='val/'))
unseen = dict(ann_file='annotations/combinations_unseen.json', data_prefix=dict(img='unseen/'))
val_dataloader = dict(
    batch_size=50, num_workers=1, dataset=dict(test_mode=True, pipeline=test_pipeline, **seen, **of_names)
)
test_dataloader = dict(
    batch_size=50, num_workers=1, dataset=dict(test_mode=True, pipeline=test_pipeline, **unseen, **of_names)
)
val_evaluator = dict(type='mmparts.PhraseBoxes')
test_evaluator = val_evaluator

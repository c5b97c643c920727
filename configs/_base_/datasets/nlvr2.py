# NLVR2, sentences about two images of 384 pixels, changed as in BLIP's fine-tuning. Another folder: --cfg-options
# data_root=FOLDER, which holds train.json, dev.json and their images.
_base_ = './loaders.py'
data_root = 'data/nlvr2/'
load = dict(type='mmparts.LoadCheckedImage')
crop = dict(type='mmparts.RandomAreaCrop', size=384, area=(0.5, 1.0), interpolation='bicubic')
flip = dict(type='RandomFlip', prob=0.5)
changes = dict(type='mmparts.RandomChanges', level=5, deviation=0.0, recolour=False, fill=(128, 128, 128))
resize = dict(type='mmcv.Resize', scale=(384, 384), interpolation='bicubic', backend='pillow')
pack = dict(type='mmparts.PackImagePair', texts='first')
train_pipeline = [dict(type='mmparts.OnBothImages', transforms=[load, crop, flip, changes]), pack]
test_pipeline = [dict(type='mmparts.OnBothImages', transforms=[load, resize]), pack]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    drop_last=True,
    dataset=dict(
        type='mmparts.Nlvr2Sentences',
        data_root=data_root,
        ann_file='train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type='mmparts.Nlvr2Sentences',
        data_root=data_root,
        ann_file='dev.json',
        data_prefix=dict(img='dev/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.TopKAccuracy', topk=(1,))
test_evaluator = val_evaluator

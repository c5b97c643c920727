# NLVR2, sentences about two images of 384 pixels. Another folder: --cfg-options data_root=FOLDER, which holds
# train.json, dev.json and their images.
data_root = 'data/nlvr2/'
load = dict(type='mmparts.LoadCheckedImage')
resize = dict(type='mmcv.Resize', scale=(384, 384), interpolation='bicubic', backend='pillow')
pipeline = [
    dict(type='mmparts.OnBothImages', transforms=[load, resize]),
    dict(type='mmparts.PackImagePair', texts='first'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmparts.Nlvr2Sentences',
        data_root=data_root,
        ann_file='train.json',
        data_prefix=dict(img='train/'),
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmparts.Nlvr2Sentences',
        data_root=data_root,
        ann_file='dev.json',
        data_prefix=dict(img='dev/'),
        test_mode=True,
        pipeline=pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.TopKAccuracy', topk=(1,))
test_evaluator = val_evaluator

# COCO with captions, Karpathy's splits, images of 384 pixels, changed as in BLIP's fine-tuning. Another folder:
# --cfg-options data_root=FOLDER, which holds dataset_coco.json and COCO's image folders.
_base_ = './loaders.py'
data_root = 'data/coco/'
load = dict(type='mmparts.LoadCheckedImage')
crop = dict(type='mmparts.RandomAreaCrop', size=384, area=(0.5, 1.0), interpolation='bicubic')
flip = dict(type='RandomFlip', prob=0.5)
changes = dict(type='mmparts.RandomChanges', level=5, deviation=0.0, recolour=False, fill=(128, 128, 128))
resize = dict(type='mmcv.Resize', scale=(384, 384), interpolation='bicubic', backend='pillow')
pack = dict(type='mmparts.PackMultimodal', texts='random')
train_pipeline = [load, crop, flip, changes, pack]
test_pipeline = [load, resize, dict(type='mmparts.PackMultimodal')]
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    drop_last=True,
    dataset=dict(
        type='mmparts.KarpathyCaptions',
        data_root=data_root,
        ann_file='dataset_coco.json',
        data_prefix=dict(img=''),
        split=('train', 'restval'),
        per='text',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(
        type='mmparts.KarpathyCaptions',
        data_root=data_root,
        ann_file='dataset_coco.json',
        data_prefix=dict(img=''),
        split='test',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.RetrievalRecall')
test_evaluator = val_evaluator

# Image-text pairs in tars (img2dataset, WebDataset), augmented as open_clip does; validation is retrieval on COCO 5K.
# Another folder: --cfg-options data_root=FOLDER, which holds pairs/*.tar and coco/ with Karpathy's dataset_coco.json.
_base_ = './loaders.py'
data_root = 'data/image_text/'
image_size = 224
train_pipeline = [
    dict(type='mmparts.LoadTarImage'),
    dict(type='mmparts.RandomAreaCrop', size=224, area=(0.9, 1.0), interpolation='bicubic'),
    dict(type='mmparts.PackMultimodal', texts='first'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(100000, 224), keep_ratio=True, interpolation='bicubic', backend='pillow'),
    dict(type='mmcv.CenterCrop', crop_size=224),
    dict(type='mmparts.PackMultimodal'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    drop_last=True,
    dataset=dict(
        type='mmparts.TarPairs',
        data_root=data_root,
        data_prefix=dict(img='pairs/'),
        on_bad_image='skip',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=8,
    dataset=dict(
        type='mmparts.KarpathyCaptions',
        data_root=data_root,
        ann_file='coco/dataset_coco.json',
        data_prefix=dict(img='coco/'),
        split='test',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.RetrievalRecall')
test_evaluator = val_evaluator

# BLIP ViT-B/16 pre-trained on pairs of images and texts (14 or 129 million in the paper). COCO CIDEr after fine-tuning
# 133.3 (paper).
_base_ = [
    '../_base_/models/blip_pretrain.py',
    '../_base_/datasets/pairs_tars.py',
    '../_base_/schedules/schedule_blip_20e.py',
    '../_base_/multimodal_runtime.py',
]
train_pipeline = [
    dict(type='mmparts.LoadTarImage'),
    dict(type='mmparts.RandomAreaCrop', size=224, area=(0.2, 1.0), interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmparts.RandomChanges', level=5, deviation=0.0, recolour=False, fill=(128, 128, 128)),
    dict(type='mmparts.PackMultimodal', texts='first'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=(224, 224), interpolation='bicubic', backend='pillow'),
    dict(type='mmparts.PackMultimodal'),
]
train_dataloader = dict(batch_size=90, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# ONE-PEACE that finds images and texts of COCO at 256 pixels, from the pre-training (load_from). R@1 65.4 of images,
# 84.1 of texts (paper).
_base_ = [
    '../_base_/models/one_peace_retrieval.py',
    '../_base_/datasets/coco_captions.py',
    '../_base_/schedules/schedule_one_peace_tune.py',
    '../_base_/multimodal_runtime.py',
]
crop = dict(type='mmparts.RandomAreaCrop', size=256, area=(0.9, 1.0), interpolation='bicubic')
resize = dict(type='mmcv.Resize', scale=(256, 256), interpolation='bicubic', backend='pillow')
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=[{{_base_.load}}, crop, {{_base_.pack}}]))
val_dataloader = dict(dataset=dict(pipeline=[{{_base_.load}}, resize, dict(type='mmparts.PackMultimodal')]))
test_dataloader = val_dataloader

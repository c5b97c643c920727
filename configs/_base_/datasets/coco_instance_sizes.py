# COCO 2017 boxes and masks with DETR's augmentation.
_base_ = './coco_detection.py'
train_pipeline = [_base_.read_image, _base_.load_masks, _base_.flip, _base_.choose_crop, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator

# COCO 2017 boxes and masks with DETR's augmentation, then crops of 1024 pixels, as ViT-Adapter trains Mask R-CNN.
_base_ = './coco_instance_sizes.py'
crop = dict(type='RandomCrop', crop_size=(1024, 1024), allow_negative_crop=True)
train_pipeline = [_base_.read_image, _base_.load_masks, _base_.flip, _base_.choose_crop, crop, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

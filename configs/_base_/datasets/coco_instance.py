# COCO 2017 boxes and masks with large-scale jittering to 1024 pixels. Another folder: --cfg-options data_root=FOLDER.
_base_ = './coco_detection.py'
image_size = (1024, 1024)
jitter = [
    _base_.flip,
    dict(type='RandomResize', scale=image_size, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=image_size, recompute_bbox=True, allow_negative_crop=True),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-5, 1e-5), by_mask=True, keep_empty=False),
    _base_.pack,
]
train_pipeline = [_base_.read_image, _base_.load_masks, *jitter]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator

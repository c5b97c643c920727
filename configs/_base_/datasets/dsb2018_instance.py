# Nuclei of Data Science Bowl 2018, boxes and masks; every fifth image validates. Folder: --cfg-options data_root=DIR.
_base_ = './coco_style.py'
data_root = 'data/dsb2018_nuclei/'
metainfo = dict(classes=('nucleus',))
num_images = 73
scale = (256, 256)
resize = dict(type='Resize', scale=scale, keep_ratio=True)

train_pipeline = [_base_.load_image, _base_.load_masks, _base_.flip_both_ways, resize, _base_.pack]
test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]
pictures = dict(data_root=data_root, metainfo=metainfo, ann_file='instances_dev.json', data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=4,
    dataset=dict(**pictures, indices=[index for index in range(num_images) if index % 5], pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(**pictures, indices=list(range(0, num_images, 5)), pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator

# The generated set "shapes" (tools/make_shapes.py), boxes. Another folder: --cfg-options data_root=FOLDER.
_base_ = './coco_style.py'
data_root = 'data/shapes/'
scale = (128, 128)  # longer side of the images
resize = dict(type='Resize', scale=scale, keep_ratio=True)

train_pipeline = [_base_.load_image, _base_.load_boxes, _base_.flip, resize, _base_.pack]
test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]
train_dataloader = dict(batch_size=8, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader

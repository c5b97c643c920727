# DINO, small, on the images of VisualBERT's generated set, 64 pixels: whose regions it reads (`mmparts data regions`).
_base_ = './dino-4scale_small_2xb4-7e_shapes.py'
data_root = 'data/shapes_pairs/'
resize = dict(type='Resize', scale=(64, 64), keep_ratio=True)
train_pipeline = [_base_.load_image, _base_.load_boxes, _base_.flip, resize, _base_.pack]
test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]
train_dataloader = dict(batch_size=8, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=3, val_interval=1)

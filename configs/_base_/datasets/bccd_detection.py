# BCCD: red and white blood cells and platelets, at three tenths of the images' size. Another folder:
# --cfg-options data_root=FOLDER.
_base_ = './coco_style.py'
data_root = 'data/bccd/'
metainfo = dict(classes=('RBC', 'WBC', 'Platelets'))  # matched to the names in the annotations, in this order
scale = (192, 144)
resize = dict(type='Resize', scale=scale, keep_ratio=True)

train_pipeline = [_base_.load_image, _base_.load_boxes, _base_.flip_both_ways, resize, _base_.pack]
test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]
train_dataloader = dict(batch_size=8, dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=test_pipeline))
test_dataloader = val_dataloader

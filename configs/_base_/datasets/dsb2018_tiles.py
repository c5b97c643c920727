# Nuclei of Data Science Bowl 2018 in tiles of a third of an image, few in each. Write them with
#   python tools/cut_tiles.py DIR/instances_dev.json DIR/images data/dsb2018_tiles
_base_ = './dsb2018_instance.py'
data_root = 'data/dsb2018_tiles/'
scale = (128, 128)
resize = dict(type='Resize', scale=scale, keep_ratio=True)
train_pipeline = [_base_.load_image, _base_.load_masks, _base_.flip_both_ways, resize, _base_.pack]
test_pipeline = [_base_.load_image, resize, _base_.load_boxes, _base_.pack_test]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(data_root=data_root, ann_file='instances_train.json', indices=None, pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='instances_val.json', indices=None, pipeline=test_pipeline)
)
test_dataloader = val_dataloader

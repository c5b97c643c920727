# DRIVE: vessels of the retina, patches of 64 x 64, in the folders that mmseg's tools/dataset_converters/drive.py makes.
_base_ = './images_semantic.py'
data_root = 'data/DRIVE/'
metainfo = dict(classes=('background', 'vessel'))
crop_size = (64, 64)
load_image = dict(type='mmparts.LoadCheckedImage')
load_map = dict(type='mmparts.LoadForeground')

train_pipeline = [
    load_image,
    load_map,
    dict(type='mmseg.RandomCrop', crop_size=crop_size),
    _base_.flip,
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [load_image, load_map, dict(type='mmseg.PackSegInputs')]
dataset = dict(data_root=data_root, metainfo=metainfo, img_suffix='.png', seg_map_suffix='_manual1.png')
train_prefix = dict(img_path='images/training', seg_map_path='annotations/training')
val_prefix = dict(img_path='images/validation', seg_map_path='annotations/validation')
train_dataloader = dict(batch_size=64, dataset=dict(**dataset, data_prefix=train_prefix, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, data_prefix=val_prefix, pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='mmparts.VolumeMetric', measures=('Dice', 'IoU', 'sensitivity', 'precision'), prefix='image'),
    dict(type='mmseg.IoUMetric', iou_metrics=['mIoU', 'mDice']),
]
test_evaluator = val_evaluator

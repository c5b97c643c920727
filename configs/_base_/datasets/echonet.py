# EchoNet-Dynamic: the left ventricle in frames of 112 x 112, written as images: {train,val}/frames, {train,val}/masks.
_base_ = './images_semantic.py'
data_root = 'data/echonet/'
metainfo = dict(classes=('background', 'left_ventricle'))
load_image = dict(type='mmparts.LoadCheckedImage')
load_map = dict(type='mmparts.LoadForeground')

train_pipeline = [load_image, load_map, _base_.flip, dict(type='mmseg.PackSegInputs')]
test_pipeline = [load_image, load_map, dict(type='mmseg.PackSegInputs')]
dataset = dict(data_root=data_root, metainfo=metainfo, img_suffix='.png', seg_map_suffix='.png')
train_prefix = dict(img_path='train/frames', seg_map_path='train/masks')
val_prefix = dict(img_path='val/frames', seg_map_path='val/masks')
train_dataloader = dict(batch_size=16, dataset=dict(**dataset, data_prefix=train_prefix, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, data_prefix=val_prefix, pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='mmparts.VolumeMetric', measures=('Dice', 'IoU', 'HD95'), prefix='image'),
    dict(type='mmseg.IoUMetric', iou_metrics=['mIoU', 'mDice']),
]
test_evaluator = val_evaluator

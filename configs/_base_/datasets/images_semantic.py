# What small sets of images with a mask each share: one foreground class, Dice of each image, then the mean.
_base_ = './loaders.py'
metainfo = dict(classes=('background', 'foreground'))
flip = dict(type='mmseg.RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal'])
train_dataloader = dict(batch_size=4, dataset=dict(type='mmseg.BaseSegDataset'))
val_dataloader = dict(dataset=dict(type='mmseg.BaseSegDataset', test_mode=True))
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='mmparts.VolumeMetric', measures=('Dice', 'IoU'), prefix='image'),
    dict(type='mmseg.IoUMetric', iou_metrics=['mIoU', 'mDice']),
]
test_evaluator = val_evaluator

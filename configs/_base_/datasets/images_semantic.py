# What small sets of images with a mask each share: one foreground class, Dice of each image, then the mean.
metainfo = dict(classes=('background', 'foreground'))
flip = dict(type='mmseg.RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal'])
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmseg.BaseSegDataset'),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmseg.BaseSegDataset', test_mode=True),
)
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='mmparts.VolumeMetric', measures=('Dice', 'IoU'), prefix='image'),
    dict(type='mmseg.IoUMetric', iou_metrics=['mIoU', 'mDice']),
]
test_evaluator = val_evaluator

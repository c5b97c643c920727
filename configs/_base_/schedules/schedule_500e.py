# 500 epochs, learning rate / 10 after 400; the rest as in the 50-epoch schedule.
_base_ = './schedule_50e.py'
max_epochs = 500
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='MultiStepLR', begin=0, end=max_epochs, by_epoch=True, milestones=[400], gamma=0.1)
]

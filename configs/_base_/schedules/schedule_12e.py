# 12 epochs, learning rate / 10 after 11; the rest as in the 50-epoch schedule.
_base_ = './schedule_50e.py'
train_cfg = dict(max_epochs=12)
param_scheduler = [dict(type='MultiStepLR', milestones=[11], gamma=0.1)]

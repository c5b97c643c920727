# 500 epochs, learning rate / 10 after 400; the rest as in the 50-epoch schedule.
_base_ = './schedule_50e.py'
train_cfg = dict(max_epochs=500)
param_scheduler = [dict(type='MultiStepLR', milestones=[400], gamma=0.1)]

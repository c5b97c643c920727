# From scratch on patches of volumes: twice the rate of schedule_segment_small after a warm-up, in bfloat16, with which
# a core that has units for it (AMX) makes two steps in the time of one.
_base_ = './schedule_segment_small.py'
optim_wrapper = dict(type='mmparts.Bfloat16OptimWrapper', optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=24),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=True, convert_to_iter_based=True),
]

# What configs of segmentors share: bare names are mmseg's, such as those of transforms and of IoUMetric.
_base_ = './default_runtime.py'
default_scope = 'mmseg'

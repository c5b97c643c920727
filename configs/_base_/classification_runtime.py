# What configs of classifiers share.
_base_ = './default_runtime.py'
default_scope = 'mmdet'

# What configs of models of several modalities share: models that go by names get those of the data set.
_base_ = './default_runtime.py'
default_scope = 'mmdet'
default_hooks = dict(class_names=dict(type='mmparts.ClassNamesHook'))

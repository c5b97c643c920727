# What fine-tuning leaves of pre-training; a config writes `default_hooks = dict(fine_tune={{_base_.fine_tune}})`.
fine_tune = dict(type='mmparts.FineTuneHook', leave_out=[r'head\.(class_branches|embedding_branch)\..*', r'prompt\..*'])

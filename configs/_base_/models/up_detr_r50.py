# UP-DETR for fine-tuning: DETR with a ResNet-50, its norms before attention and feed-forward.
_base_ = './detr_r50.py'
model = dict(encoder=dict(type='mmparts.PreNormEncoder'), decoder=dict(type='mmparts.PreNormDecoder'))
# What of pre-training fine-tuning leaves; a config writes `default_hooks = dict(fine_tune={{_base_.fine_tune}})`.
fine_tune = dict(
    type='mmparts.FineTuneHook', leave_out=[r'head\.(class_branches|embedding_branch)\..*', r'prompt\..*'])

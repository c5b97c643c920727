# UP-DETR for fine-tuning: DETR with a ResNet-50, its norms before attention and feed-forward.
_base_ = './detr_r50.py'
model = dict(encoder=dict(type='mmparts.PreNormEncoder'), decoder=dict(type='mmparts.PreNormDecoder'))

# VisualBERT in pre-training: masked words, and whether the second caption is of the image; 112,074,812 parameters.
_base_ = './visual_bert.py'
model = dict(objectives=dict(masked=dict(type='mmparts.MaskedWords')), inference=dict(type='mmparts.FilledWords'))

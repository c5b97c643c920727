# DETReg's DETR for fine-tuning: UP-DETR's, with positions shifted by half a cell, as in Deformable DETR.
_base_ = './up_detr_r50.py'
model = dict(encoder=dict(positional_encoding=dict(type='SinePositionalEncoding', normalize=True, offset=-0.5)))

# Two-stage Deformable DETR: the encoder proposes the boxes that the decoder refines.
_base_ = './deformable_detr_refine_r50.py'
model = dict(queries=dict(type='mmparts.TopKQueries'), head=dict(size_bias=0.0))

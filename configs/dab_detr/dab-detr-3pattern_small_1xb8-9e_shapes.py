# DAB-DETR, small, three patterns for each anchor, from scratch on the generated set (tools/make_shapes.py).
_base_ = './dab-detr_small_1xb8-9e_shapes.py'
model = dict(queries=dict(num_patterns=3))

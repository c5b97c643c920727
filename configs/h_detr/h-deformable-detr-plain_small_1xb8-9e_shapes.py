# H-Deformable-DETR without mixed selection and look forward twice, small, from scratch on the generated set.
_base_ = './h-deformable-detr_small_1xb8-9e_shapes.py'
model = dict(
    queries=dict(mixed_selection=False), decoder=dict(reference_update=dict(type='mmparts.IterativeRefinement'))
)

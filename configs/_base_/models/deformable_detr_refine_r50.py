# Deformable DETR with iterative box refinement: each layer starts from the box of the one before.
_base_ = './deformable_detr_r50.py'
model = dict(decoder=dict(reference_update=dict(type='mmparts.IterativeRefinement')), head=dict(share_branches=False))

# H-Deformable-DETR, ResNet-50, without mixed selection and look forward twice, 12 epochs.
_base_ = './h-deformable-detr_r50_8xb2-12e_coco.py'
model = dict(
    queries=dict(mixed_selection=False), decoder=dict(reference_update=dict(type='mmparts.IterativeRefinement'))
)

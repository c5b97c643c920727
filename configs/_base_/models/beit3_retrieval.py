# BEiT-3 that finds images and texts; base at 384: 222,458,881 parameters.
_base_ = './beit3.py'
model = dict(
    fusion=dict(image_size=384, drop_path=0.2),
    projections=dict(image=768, text=768),
    objectives=dict(contrastive=dict(type='mmparts.Contrastive')),
)

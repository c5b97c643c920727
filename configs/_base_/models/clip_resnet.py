# CLIP with its own ResNet: RN50, 102,007,137 parameters. The last map of the attention pool leads into the joint space.
_base_ = './clip.py'
model = dict(
    towers=dict(image=dict(backbone=dict(type='mmparts.ClipResNet', arch='rn50'))),
    projections=dict(image=None, text=1024),
)

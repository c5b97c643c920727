# Cell-DETR B: as A, of deformable convolutions and learned activations, pixel-adaptive ones in the mask decoder.
_base_ = './cell_detr_a.py'
conv_cfg = dict(type='mmparts.ModulatedDeformConv')
act_cfg = dict(type='mmparts.PadeUnit')
model = dict(
    backbone=dict(conv_cfg=conv_cfg, act_cfg=act_cfg),
    neck=dict(skip_channels=(32, 64, 128), conv_cfg=conv_cfg),
    encoder=dict(act_cfg=act_cfg),
    decoder=dict(act_cfg=act_cfg),
    head=dict(
        branches=dict(
            classes=dict(act_cfg=act_cfg),
            boxes=dict(act_cfg=act_cfg),
            masks=dict(mask_decoder=dict(conv_cfg=conv_cfg, act_cfg=act_cfg, block=dict(type='mmparts.AdaptiveBlock'))),
        )
    ),
)

# SMCA-DETR of the paper's three levels, at strides 16 to 64, with a ResNet-50: attention within levels and across them.
_base_ = './smca_detr_r50.py'
model = dict(
    num_levels=3,
    backbone=dict(out_indices=(2, 3)),
    neck=dict(
        _delete_=True,
        type='ChannelMapper',
        in_channels='auto',
        kernel_size=1,
        norm_cfg=dict(type='GN', num_groups=32),
        act_cfg=None,
        bias=True,
    ),
    encoder=dict(type='mmparts.MultiScaleEncoder', num_layers=5, ffn_channels=1024),
    decoder=dict(ffn_channels=1024),
)

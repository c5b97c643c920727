# mmdet's Mask2Former on Swin-T, instances, 50 epochs.
_base_ = '../mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.Swin',
        arch='tiny',
        drop_path=0.3,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/swin_tiny_patch4_window7_224.pth'),
    ),
    panoptic_head=dict(in_channels=[96, 192, 384, 768]),
)
optim_wrapper = dict(
    constructor='mmparts.ParamwiseConstructor',
    paramwise_cfg=dict(spare_norms=True, no_decay=('relative_position_bias_table',)),
)

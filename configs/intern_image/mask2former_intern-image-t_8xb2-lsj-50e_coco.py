# mmdet's Mask2Former on InternImage-T, instances, 50 epochs.
_base_ = ['../mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', '../_base_/models/swin_l.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.InternImage',
        arch='tiny',
        layer_scale=1.0,
        drop_path=0.2,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/internimage_t_1k_224.pth'),
    ),
    panoptic_head=dict(in_channels=[64, 128, 256, 512]),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={{_base_.swin_l_undecayed}}))

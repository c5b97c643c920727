# mmdet's Mask2Former on Swin v2-B (ImageNet-22k, window 12 to 16), instances, 50 epochs.
_base_ = ['../mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', '../_base_/models/swin_l.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.SwinV2',
        arch='base',
        window_size=16,
        pretrained_windows=(12, 12, 12, 6),
        drop_path=0.3,
        with_cp=True,
        init_cfg=dict(
            type='mmparts.OfficialWeights', checkpoint='data/pretrained/swinv2_base_patch4_window12_192_22k.pth'
        ),
    ),
    panoptic_head=dict(in_channels=[128, 256, 512, 1024]),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={{_base_.swin_l_undecayed}}))

# mmdet's Mask2Former on a plain ViT-B with windows and the simple pyramid of ViTDet, instances, 50 epochs.
_base_ = ['../mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', '../_base_/models/swin_l.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.PyramidBackbone',
        backbone=dict(
            type='mmparts.ViT',
            arch='base',
            class_token=False,
            final_norm=False,
            resize='dinov2',
            window_size=14,
            global_blocks=(2, 5, 8, 11),
            drop_path=0.1,
            with_cp=True,
            init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/mae_pretrain_vit_base.pth'),
        ),
    ),
    panoptic_head=dict(in_channels=[256] * 4),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={{_base_.swin_l_undecayed}}))

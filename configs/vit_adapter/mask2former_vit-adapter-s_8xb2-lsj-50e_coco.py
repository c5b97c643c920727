# mmdet's Mask2Former on ViT-Adapter-S (DeiT), instances, 50 epochs.
_base_ = ['../mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', '../_base_/models/swin_l.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.ViTAdapter',
        num_heads=6,
        drop_path=0.2,
        vit=dict(
            type='mmparts.ViT',
            arch='small',
            class_token=False,
            final_norm=False,
            layer_scale=1.0,
            resize='dinov2',
            window_size=14,
            window_pad='qkv',
            global_blocks=(2, 5, 8, 11),
            drop_path=0.2,
            init_cfg=dict(
                type='mmparts.OfficialWeights', checkpoint='data/pretrained/deit_small_patch16_224-cd65a155.pth'
            ),
        ),
    ),
    panoptic_head=dict(in_channels=[384] * 4),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={{_base_.swin_l_undecayed}}))

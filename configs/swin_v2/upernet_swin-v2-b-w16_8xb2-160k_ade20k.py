# UPerNet on Swin v2-B (ImageNet-22k, window 12 to 16), ADE20K, 512 pixels; Swin's recipe.
_base_ = '../swin/upernet_swin-t-p4-w7_8xb2-160k_ade20k.py'
model = dict(
    encoder=dict(
        type='mmparts.SwinV2',
        arch='base',
        window_size=16,
        pretrained_windows=(12, 12, 12, 6),
        with_cp=True,
        init_cfg=dict(checkpoint='data/pretrained/swinv2_base_patch4_window12_192_22k.pth'),
    )
)
optim_wrapper = dict(paramwise_cfg=dict(no_decay=('cpb_mlp', 'logit_scale')))

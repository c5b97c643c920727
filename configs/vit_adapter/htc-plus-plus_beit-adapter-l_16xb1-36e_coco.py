# HTC++ on BEiT-Adapter-L, 36 epochs. COCO val box AP: 58.4 (paper), mask AP: 50.8 (paper).
# 401 million parameters (paper); without InstaBoost, as its base says.
_base_ = '../swin/htc-plus-plus_swin-l-p4-w7_16xb1-72e_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.ViTAdapter',
        num_heads=16,
        value_ratio=0.5,
        injector_scale=1e-6,
        drop_path=0.4,
        vit=dict(
            type='mmparts.ViT',
            arch='large',
            class_token=False,
            final_norm=False,
            layer_scale=1e-6,
            position='relative',
            biases=(True, False, True),
            resize='dinov2',
            window_size=14,
            global_blocks=(5, 11, 17, 23),
            global_window=56,
            drop_path=0.4,
            with_cp=True,
            init_cfg=dict(
                type='mmparts.OfficialWeights', checkpoint='data/pretrained/beit_large_patch16_224_pt22k_ft22k.pth'
            ),
        ),
    ),
    neck=[
        dict(type='mmparts.LastMapAttention', in_channels=1024, drop_path=0.3),
        dict(type='FPN', in_channels=[1024] * 4, out_channels=256, num_outs=5),
    ],
    data_preprocessor=dict(pad_size_divisor=32),
)
train_cfg = dict(max_epochs=36)
optim_wrapper = dict(constructor='mmparts.LayerDecayConstructor', paramwise_cfg=dict(_delete_=True, layer_decay=0.9))
param_scheduler = [_base_.param_scheduler[0], dict(type='MultiStepLR', by_epoch=True, milestones=[27, 33], gamma=0.1)]

# UPerNet on BEiT-Adapter-L, ADE20K, 640 pixels. mIoU 58.0 (paper).
_base_ = './upernet_vit-adapter-t_8xb2-160k_ade20k.py'
crop_size = (640, 640)
scale = (2560, 640)
model = dict(
    encoder=dict(
        num_heads=16,
        value_ratio=0.5,
        injector_scale=1e-6,
        drop_path=0.3,
        vit=dict(
            arch='large',
            image_size=640,
            class_token=True,
            layer_scale=1e-5,
            position='relative',
            biases=(True, False, True),
            drop_path=0.3,
            with_cp=True,
            init_cfg=dict(checkpoint='data/pretrained/beit_large_patch16_224_pt22k_ft22k.pth'),
        ),
    ),
    decoder=dict(mid_channels=1024),
    inference=dict(size=crop_size),
)
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    {{_base_.load_map}},
    dict(type='mmcv.RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='mmseg.RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='mmcv.RandomFlip', prob=0.5),
    dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='mmcv.Resize', scale=scale, keep_ratio=True),
    {{_base_.load_map}},
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=2e-5, weight_decay=0.05), paramwise_cfg=dict(layer_decay=0.9))

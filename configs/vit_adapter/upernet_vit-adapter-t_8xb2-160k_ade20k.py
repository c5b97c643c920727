# UPerNet on ViT-Adapter-T (DeiT), ADE20K, 512 pixels. mIoU 42.6 (paper).
_base_ = [
    '../_base_/models/upernet.py',
    '../_base_/datasets/ade20k_segmentor.py',
    '../_base_/schedules/schedule_160k.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    encoder=dict(
        type='mmparts.ViTAdapter',
        num_heads=6,
        add_vit='each',
        drop_path=0.1,
        vit=dict(
            type='mmparts.ViT',
            arch='tiny',
            class_token=False,
            final_norm=False,
            layer_scale=1.0,
            resize='dinov2',
            drop_path=0.1,
            init_cfg=dict(
                type='mmparts.OfficialWeights', checkpoint='data/pretrained/deit_tiny_patch16_224-a1311bcf.pth'
            ),
        ),
    ),
    inference=dict(type='mmparts.SlidingInference', size=(512, 512), overlap=1 / 3, weights='constant'),
)
optim_wrapper = dict(optimizer=dict(lr=12e-5), paramwise_cfg=dict(layer_decay=0.95))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=16000))
log_processor = dict(by_epoch=False)

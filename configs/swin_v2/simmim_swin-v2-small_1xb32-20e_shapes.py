# SimMIM with a small Swin v2 on the images of the generated set.
_base_ = [
    '../_base_/datasets/shapes_images.py',
    '../_base_/schedules/schedule_pretrain_masked.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    type='mmparts.MaskedPretrainer',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        type='mmparts.SwinV2',
        arch=dict(embed_dims=32, depths=(2, 2, 2), num_heads=(1, 2, 4)),
        window_size=4,
        out_indices=(2,),
        drop_path=0.0,
    ),
    objective=dict(type='mmparts.SimMIM', mask_size=16),
)
default_hooks = dict(checkpoint=dict(interval=20, save_best=None))

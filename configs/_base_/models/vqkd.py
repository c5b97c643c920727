# What VQ-KD has beside its tokenizer, 22,424,576 parameters that are trained: three blocks from codes to features of
# CLIP ViT-B/16, its teacher.
model = dict(
    type='mmparts.VQKD',
    data_preprocessor=dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True),
    decoder=dict(
        type='mmparts.ViT',
        arch=dict(embed_dims=768, num_layers=3, num_heads=12),
        patch_size=1,
        image_size=14,
        biases=(True, False, True),
        start='beit',
        resize='dinov2',
    ),
    teacher=dict(
        type='mmparts.PatchTeacher',
        backbone=dict(
            type='mmparts.ViT',
            arch='base',
            gelu='quick',
            norm_eps=1e-5,
            pre_norm=True,
            patch_bias=False,
            start='clip',
            resize='timm',
        ),
        out_dims=512,
        checkpoint='data/pretrained/ViT-B-16.pt',
    ),
)

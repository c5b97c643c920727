# CLIP with a ViT: B/32, 151,277,313 parameters.
_base_ = './clip.py'
model = dict(
    towers=dict(
        image=dict(
            backbone=dict(
                type='mmparts.ViT',
                arch='base',
                patch_size=32,
                out='class',
                gelu='quick',
                norm_eps=1e-5,
                pre_norm=True,
                patch_bias=False,
                start='clip',
                resize='timm',
            )
        )
    ),
    projections=dict(image=512, text=512),
)

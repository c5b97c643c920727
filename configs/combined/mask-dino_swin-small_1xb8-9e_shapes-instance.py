# Mask DINO on a Swin Transformer, both small.
_base_ = '../mask_dino/mask-dino_small_1xb8-9e_shapes-instance.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.Swin',
        arch=dict(embed_dims=32, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8)),
        window_size=4,
        out_indices=(0, 1, 2, 3),
    )
)

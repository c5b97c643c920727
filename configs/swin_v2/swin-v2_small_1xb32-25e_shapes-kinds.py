# A small Swin v2 tells six kinds of shapes apart from 400 images; `load_from` a pre-training by masks to fine-tune.
_base_ = '../vit/vit_small_1xb32-25e_shapes-kinds.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.SwinV2',
        arch=dict(embed_dims=32, depths=(2, 2, 2), num_heads=(1, 2, 4)),
        window_size=4,
        out_indices=(2,),
        drop_path=0.0,
    )
)

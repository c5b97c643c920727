# Co-DINO on a small InternImage, from scratch on the generated set.
_base_ = '../co_detr/co-dino-4scale_small_1xb8-9e_shapes.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.InternImage',
        arch=dict(embed_dims=32, depths=(2, 2, 2, 2), num_groups=(2, 4, 8, 16), order='pre', layer_scale=None),
        out_indices=(1, 2, 3),
        drop_path=0.0,
    )
)

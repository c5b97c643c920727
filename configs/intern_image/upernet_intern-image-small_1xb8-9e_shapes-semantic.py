# UPerNet on a small InternImage, from scratch on the generated set.
_base_ = '../swin/upernet_swin-small_1xb8-9e_shapes-semantic.py'
model = dict(
    encoder=dict(
        _delete_=True,
        type='mmparts.InternImage',
        arch=dict(embed_dims=32, depths=(2, 2, 2, 2), num_groups=(2, 4, 8, 16), order='pre', layer_scale=None),
        drop_path=0.0,
    )
)

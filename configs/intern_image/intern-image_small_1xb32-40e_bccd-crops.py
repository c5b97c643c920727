# InternImage, small, three stages, from scratch on crops of blood cells.
_base_ = '../swin_v2/swin-v2_small_1xb32-40e_bccd-crops.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.InternImage',
        arch=dict(embed_dims=32, depths=(2, 2, 2), num_groups=(2, 4, 8), order='pre', layer_scale=None),
        out_indices=(2,),
        drop_path=0.0,
    )
)

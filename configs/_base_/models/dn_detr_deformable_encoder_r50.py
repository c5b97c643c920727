# DN-DETR on four levels: a deformable encoder, and DAB-DETR's dense decoder that looks at each level on its own.
_base_ = './dn_detr_r50.py'
model = dict(
    num_levels=4,
    backbone=dict(out_indices=(1, 2, 3)),
    neck=dict(norm_cfg=dict(_delete_=True, type='GN', num_groups=32)),
    encoder=dict(
        _delete_=True,
        type='mmparts.DeformableEncoder',
        num_layers=6,
        num_heads=8,
        ffn_channels=2048,
        dropout=0.0,
        positional_encoding=dict(type='SinePositionalEncoding', temperature=20, normalize=True),
    ),
    decoder=dict(type='mmparts.LevelGatedDecoder', act_cfg=dict(type='ReLU')),
)

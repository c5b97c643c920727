# DINO on InternImage-T, 4 scales, 12 epochs.
_base_ = '../dino/dino-4scale_r50_8xb2-12e_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.InternImage',
        arch='tiny',
        layer_scale=1.0,
        out_indices=(1, 2, 3),
        drop_path=0.2,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/internimage_t_1k_224.pth'),
    )
)

# UPerNet on InternImage-T, ADE20K, 512 pixels, tested on whole images. mIoU 47.9 (paper).
_base_ = '../swin/upernet_swin-t-p4-w7_8xb2-160k_ade20k.py'
model = dict(
    encoder=dict(
        _delete_=True,
        type='mmparts.InternImage',
        arch='tiny',
        layer_scale=1.0,
        drop_path=0.2,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/internimage_t_1k_224.pth'),
    ),
    inference=dict(_delete_=True, type='mmparts.WholeInference'),
)
optim_wrapper = dict(optimizer=dict(weight_decay=0.05), paramwise_cfg=dict(_delete_=True))

# UPerNet on InternImage-S, ADE20K, 512 pixels, tested on whole images. mIoU 50.1 (paper).
_base_ = './upernet_intern-image-t_8xb2-160k_ade20k.py'
model = dict(
    encoder=dict(arch='small', drop_path=0.3, init_cfg=dict(checkpoint='data/pretrained/internimage_s_1k_224.pth'))
)

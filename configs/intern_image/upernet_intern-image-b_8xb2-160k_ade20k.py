# UPerNet on InternImage-B, ADE20K, 512 pixels, tested on whole images. mIoU 50.8 (paper).
_base_ = './upernet_intern-image-t_8xb2-160k_ade20k.py'
model = dict(
    encoder=dict(arch='base', drop_path=0.4, init_cfg=dict(checkpoint='data/pretrained/internimage_b_1k_224.pth'))
)

# Co-DINO, Swin-L (ImageNet-22k, 384 pixels, window 12), 5 scales, 12 epochs. COCO val box AP: 58.9 (paper).
_base_ = ['./co-dino-5scale_r50_8xb2-12e_coco.py', '../_base_/models/swin_l.py']
model = dict(backbone={{_base_.swin_l}})

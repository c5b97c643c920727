# UPerNet on Swin-T, ADE20K, 512 pixels. mIoU 44.5 (paper).
_base_ = [
    '../_base_/models/upernet.py',
    '../_base_/datasets/ade20k_segmentor.py',
    '../_base_/schedules/schedule_160k.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    encoder=dict(
        type='mmparts.Swin',
        arch='tiny',
        window_size=7,
        drop_path=0.3,
        init_cfg=dict(type='mmparts.OfficialWeights', checkpoint='data/pretrained/swin_tiny_patch4_window7_224.pth'),
    ),
    inference=dict(type='mmparts.SlidingInference', size=(512, 512), overlap=1 / 3, weights='constant'),
)
optim_wrapper = dict(paramwise_cfg=dict(no_decay=('relative_position_bias_table',)))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=16000))
log_processor = dict(by_epoch=False)

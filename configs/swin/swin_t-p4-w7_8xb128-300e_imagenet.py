# Swin-T, window 7, ImageNet-1k at 224 pixels. Top-1 81.2 (paper).
_base_ = [
    '../_base_/models/classifier.py',
    '../_base_/datasets/imagenet_classification.py',
    '../_base_/schedules/schedule_swin_300e.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    backbone=dict(type='mmparts.Swin', arch='tiny', window_size=7, out_indices=(3,), drop_path=0.2),
    loss=dict(label_smoothing=0.1),
    mixing=dict(type='mmparts.Mixing', mixup=0.8, cutmix=1.0),
    num_classes=1000,
)
optim_wrapper = dict(paramwise_cfg=dict(no_decay=('relative_position_bias_table',)))

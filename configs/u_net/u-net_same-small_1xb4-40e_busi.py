# U-Net with padded convolutions, small, on breast ultrasound: reaches what the folder README measures.
_base_ = [
    '../_base_/models/u_net_same.py',
    '../_base_/datasets/busi.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(encoder=dict(channels=(16, 32, 64, 128, 256)))
auto_scale_lr = dict(base_batch_size=4)

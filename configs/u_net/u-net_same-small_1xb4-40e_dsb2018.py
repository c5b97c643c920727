# U-Net with padded convolutions, small, on nuclei.
_base_ = [
    '../_base_/models/u_net_same.py',
    '../_base_/datasets/dsb2018_semantic.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(in_channels=3, encoder=dict(channels=(16, 32, 64, 128, 256)))

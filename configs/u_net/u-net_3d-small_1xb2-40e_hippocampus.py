# U-Net in three dimensions, small, on the hippocampus: instance norm, deep supervision.
_base_ = [
    '../_base_/models/u_net_same.py',
    '../_base_/datasets/msd_hippocampus.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
norm = dict(type='IN', affine=True)
model = dict(
    dims=3,
    num_classes=3,
    data_preprocessor=dict(_delete_=True, type='mmparts.SegmentPreprocessor', size_divisor=8),
    encoder=dict(channels=(16, 32, 64, 128), block=dict(norm=norm)),
    decoder=dict(level=dict(block=dict(norm=norm)), num_outputs=2),
)

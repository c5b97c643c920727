# TransBridge, our interpretation, small, on breast ultrasound.
_base_ = [
    '../_base_/models/trans_bridge.py',
    '../_base_/datasets/busi.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=1,
    encoder=dict(channels=(16, 16, 32, 64, 128)),
    bottleneck=dict(embed_dims=64, num_layers=2),
    head=dict(_delete_=True, type='mmparts.RegionHead', regions=dict(tumour=(1,)), paint=dict(tumour=1)),
)
auto_scale_lr = dict(base_batch_size=4)

# GT U-Net, small, on slices of generated phantoms (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/gt_unet.py',
    '../_base_/datasets/phantoms_slices.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=4,
    data_preprocessor=dict(_delete_=True, type='mmparts.SegmentPreprocessor'),
    encoder=dict(channels=(16, 32, 64, 128)),
    head=dict(_delete_=True, type='mmparts.RegionHead', regions=_base_.regions, paint=_base_.paint),
    inference=dict(type='mmparts.SliceInference', size=(32, 32)),
    restore=dict(type='mmparts.RestoreVolume'),
)
auto_scale_lr = dict(base_batch_size=8)

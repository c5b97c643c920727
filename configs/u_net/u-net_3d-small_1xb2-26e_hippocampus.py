# U-Net in three dimensions, small, on patches of the hippocampus: reaches what the folder README measures.
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
    data_preprocessor=dict(_delete_=True, type='mmparts.SegmentPreprocessor'),
    encoder=dict(channels=(8, 16, 32, 64, 104), block=dict(norm=norm)),
    decoder=dict(level=dict(block=dict(norm=norm)), num_outputs=2),
    inference=dict(type='mmparts.SlidingInference', size=(32, 48, 32), batch_size=8),
)
train_cfg = dict(max_epochs=26, val_interval=13)

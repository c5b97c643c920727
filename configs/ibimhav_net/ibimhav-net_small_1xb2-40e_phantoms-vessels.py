# IBIMHAV-Net, our interpretation, small, on generated vessel trees (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/ibimhav_net.py',
    '../_base_/datasets/phantoms_vessels.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    data_preprocessor=dict(size_divisor=4),
    encoder=dict(channels=(8, 16, 32), num_heads=(1, 2, 4), windows=(True, True, True), with_cp=False),
    decoder=dict(level=dict(block=dict(num_heads=1, with_cp=False))),
    inference=dict(size=(32, 32, 32)),
)

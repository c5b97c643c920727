# SpecTr of 2021, small, on generated cubes (tools/make_phantoms.py).
_base_ = [
    '../_base_/models/spectr.py',
    '../_base_/datasets/phantoms_cubes.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=32,
    num_classes=5,
    encoder=dict(channels=(8, 16, 32, 64)),
    head=dict(_delete_=True, type='mmparts.SpectralSoftmaxHead', dims=3),
    terms=[dict(type='mmparts.CrossEntropyTerm'), dict(type='mmparts.SoftDiceTerm', smooth_nr=1.0, smooth_dr=1.0)],
)
auto_scale_lr = dict(base_batch_size=4)

# U-Net of the paper on nuclei: valid convolutions on images of 572 x 572, whose margin is mirrored.
_base_ = [
    '../_base_/models/u_net.py',
    '../_base_/datasets/dsb2018_semantic.py',
    '../_base_/schedules/schedule_adam_200e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=3,
    data_preprocessor=dict(size_divisor=16, size_offset=12, size=188),
    inference=dict(type='mmparts.MirroredInference', margin=92, divisor=16, offset=12),
)
crop_size = (572, 572)
resize = dict(type='mmseg.Resize', scale=crop_size, keep_ratio=False)
train_pipeline = [_base_.load_image, _base_.load_map, resize, _base_.flip, dict(type='mmseg.PackSegInputs')]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=1e-4, momentum=0.99, fused=True))
auto_scale_lr = dict(base_batch_size=1)

# U-Net with padded convolutions, small, on breast ultrasound: reaches what the folder README measures.
# Norms are of the image: with the few steps that 12 images make, the running means of a batch norm are not found.
_base_ = [
    '../_base_/models/u_net_same.py',
    '../_base_/datasets/busi.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
norm = dict(type='IN', affine=True)
model = dict(
    encoder=dict(channels=(16, 32, 64, 128, 256), block=dict(norm=norm)),
    decoder=dict(level=dict(block=dict(norm=norm))),
)
resize = dict(type='mmseg.Resize', scale=(128, 128), keep_ratio=False)  # a quarter of the pixels, four times the steps
train_pipeline = [_base_.load_image, _base_.load_map, resize, *_base_.train_pipeline[3:]]
test_pipeline = [_base_.load_image, resize, *_base_.test_pipeline[2:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(type='mmparts.Bfloat16OptimWrapper')
auto_scale_lr = dict(base_batch_size=4)

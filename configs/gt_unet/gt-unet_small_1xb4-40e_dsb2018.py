# GT U-Net, small, on nuclei.
_base_ = [
    '../_base_/models/gt_unet.py',
    '../_base_/datasets/dsb2018_semantic.py',
    '../_base_/schedules/schedule_segment_small.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(encoder=dict(channels=(16, 32, 64, 128, 256)))
crop = [dict(type='mmseg.RandomCrop', crop_size=(128, 128)), _base_.flip, dict(type='mmseg.PackSegInputs')]
train_dataloader = dict(dataset=dict(pipeline=[_base_.load_image, _base_.load_map, _base_.resize, *crop]))
auto_scale_lr = dict(base_batch_size=4)

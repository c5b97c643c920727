# Perceiver IO that restores video, sound and class; PSNR on Kinetics 24.37 and 26.97, 88 times smaller (paper).
# No rate and no length are known to us; those of the text model stand in.
_base_ = [
    '../_base_/models/perceiver_io_autoencoder.py',
    '../_base_/datasets/clip_files.py',
    '../_base_/schedules/schedule_lamb_iters.py',
    '../_base_/classification_runtime.py',
]
pipeline = [
    dict(type='mmparts.LoadClip', num_frames=16, num_samples=30720, rate=48000),
    dict(type='mmparts.PackClip', num_classes=700),
]
train_dataloader = dict(
    batch_size=16,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(metainfo=dict(_delete_=True), pipeline=pipeline),
)
val_dataloader = dict(batch_size=1, dataset=dict(metainfo=dict(_delete_=True), pipeline=pipeline))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=10000, save_best='video_psnr'))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(base_batch_size=1024)

# ONE-PEACE, stage two: sounds and texts; text and attention are those of stage one (load_from). AudioCaps
# R@1 42.5 of sounds, 51.0 of texts (paper).
_base_ = [
    '../_base_/models/one_peace_sound.py',
    '../_base_/datasets/sound_texts.py',
    '../_base_/schedules/schedule_one_peace.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=10, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=3000),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.005, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=2048)

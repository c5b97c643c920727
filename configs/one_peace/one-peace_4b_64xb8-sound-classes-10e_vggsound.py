# ONE-PEACE's sound part fine-tuned to name what is heard, from the pre-training (load_from). VGGSound, by sounds alone;
# the paper's 68.2 is of sounds and images.
_base_ = [
    '../_base_/models/one_peace_sound_classes.py',
    '../_base_/datasets/vggsound.py',
    '../_base_/schedules/schedule_one_peace_tune.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(lr=8e-5), paramwise_cfg=dict(layer_decay=0.95, no_decay=()))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.0125, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.0125, by_epoch=True, begin=1, end=10, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=512)

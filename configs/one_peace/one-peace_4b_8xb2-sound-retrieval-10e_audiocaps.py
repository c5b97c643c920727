# ONE-PEACE that finds sounds and texts, from the pre-training (load_from). train.json holds AudioCaps, Clotho and MACS
# together, val.json AudioCaps: R@1 42.5 of sounds, 51.0 of texts (paper).
_base_ = [
    '../_base_/models/one_peace_sound_retrieval.py',
    '../_base_/datasets/sound_texts.py',
    '../_base_/schedules/schedule_one_peace_tune.py',
    '../_base_/multimodal_runtime.py',
]
load = dict(type='mmparts.LoadSound', most=20.0)
pack = dict(type='mmparts.PackMultimodal', keys=('audio',))
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=[load, {{_base_.pack}}]))
val_dataloader = dict(dataset=dict(pipeline=[load, pack]))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(lr=1.5e-4), paramwise_cfg=dict(layer_decay=0.95))
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 150, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=1 / 150, by_epoch=True, begin=1, end=10, convert_to_iter_based=True),
]

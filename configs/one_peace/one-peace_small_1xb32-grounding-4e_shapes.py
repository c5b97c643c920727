# A small ONE-PEACE from scratch that finds 'the red circle' among up to three generated shapes; the test is of names of
# colour and kind that training never had.
_base_ = [
    '../_base_/models/one_peace_grounding_small.py',
    '../_base_/datasets/shapes_phrases.py',
    '../_base_/schedules/schedule_classify_small.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=4, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, eta_min_ratio=1e-2, begin=0, end=4, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(save_best='acc@0.5'))
auto_scale_lr = dict(base_batch_size=32)

# Small classifiers on some thousand images: as the small Perceivers, with more decay.
_base_ = ['./schedule_arrays_small.py']
optim_wrapper = dict(optimizer=dict(weight_decay=0.05))
auto_scale_lr = dict(base_batch_size=50)

# The schedule of Mask2Former and Mask DINO: 50 epochs, decay 0.05 but for norms and embeddings, clipped to 0.01.
_base_ = './schedule_50e.py'
optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    clip_grad=dict(max_norm=0.01),
    paramwise_cfg=dict(norm_decay_mult=0.0, no_decay=('level_embed', 'label_embed')),
)
# The papers' steps, 327,778 and 355,092 of 368,750 iterations.
param_scheduler = [dict(type='MultiStepLR', milestones=[44, 48], gamma=0.1)]

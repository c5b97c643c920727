# Mask DINO, small, masks that start as ellipses, from scratch on nuclei (Data Science Bowl 2018). Reached: README.md.
_base_ = [
    '../_base_/models/mask_dino_small.py',
    '../_base_/datasets/dsb2018_instance.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    num_classes=1,
    num_queries=100,
    backbone=dict(zero_init_residual=True),
    groups=[dict(type='mmparts.Denoising', num=50, label_noise=0.0, box_noise=0.4, contrastive=False, spare_row=False)],
    head=dict(branches=dict(masks=dict(type='mmparts.EllipseMaskBranch', num_points=512))),
)

train_cfg = dict(max_epochs=80, val_interval=20)
auto_scale_lr = dict(base_batch_size=4)

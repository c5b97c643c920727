# nnFormer on eight organs of Synapse in 3-D, deep supervision; Dice 86.57 (paper).
_base_ = [
    '../_base_/models/nn_former.py',
    '../_base_/datasets/synapse_3d.py',
    '../_base_/schedules/schedule_nnunet_1000e.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    in_channels=1,
    num_classes=9,
    encoder=dict(embed_dims=192, num_heads=(6, 12, 24, 48), stem_strides=((2, 2, 2), (1, 2, 2))),
    decoder=dict(num_outputs=3),
    head=dict(patch_size=(2, 4, 4)),
    inference=dict(size=(64, 128, 128)),
)

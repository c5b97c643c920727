# nnFormer on the heart of ACDC: flat patches of 1 x 4 x 4, a depth that goes from 7 to 3 and back.
_base_ = [
    '../_base_/models/nn_former.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/schedule_nnunet_1000e.py',
    '../_base_/segmentation_runtime.py',
]
windows = ((3, 5, 5), (3, 5, 5), (7, 10, 10), (3, 5, 5))
model = dict(
    in_channels=1,
    encoder=dict(
        windows=windows,
        stem_strides=((1, 2, 2), (1, 2, 2)),
        merge_strides=((1, 2, 2), (2, 2, 2), (2, 2, 2)),
        merge_paddings=(None, None, (0, 1, 1)),
    ),
    decoder=dict(num_heads=(3, 6, 12), windows=windows[:3]),
    head=dict(patch_size=(1, 4, 4)),
    inference=dict(size=(14, 160, 160)),
)
auto_scale_lr = dict(base_batch_size=4)

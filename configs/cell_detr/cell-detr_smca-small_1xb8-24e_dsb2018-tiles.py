# Cell-DETR A, small, from scratch on tiles of nuclei. Each query looks around a place that it predicts (SMCA-DETR), on
# a map of stride 8, and each mask is decoded on its own.
_base_ = [
    '../_base_/models/cell_detr_small.py',
    '../_base_/datasets/dsb2018_tiles.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
# Nuclei are small: with the paper's weights all boxes grow to most of the image, which GIoU likes best of what
# misses. Here L1 and GIoU weigh against each other as in DETR.
model = dict(
    num_classes=1,
    num_queries=30,
    data_preprocessor=dict(pad_size_divisor=8),
    backbone=dict(channels=(32, 48, 96)),
    neck=dict(skip_channels=(8, 16)),
    decoder=dict(
        cross_attn=dict(
            _delete_=True, type='mmparts.GaussianCrossAttention', base=dict(type='mmparts.DenseCrossAttention')
        ),
        spatial_prior=dict(type='mmparts.GaussianPrior'),
    ),
    head=dict(
        branches=dict(
            masks=dict(
                mask_decoder=dict(channels=(32, 16), output=dict(type='mmparts.SeparateOutput', mid_channels=16))
            )
        ),
        terms=[
            dict(type='mmparts.ClassWeightTerm', weight=2.0, class_weights=1.5, no_object_weight=0.5),
            dict(type='mmparts.CornerL1Term', weight=20.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.AreaDiceTerm', weight=1.0),
            dict(type='mmparts.PixelFocalTerm', weight=25.6),
        ],
        matcher=dict(
            costs=[
                dict(type='mmparts.SoftmaxCost', weight=1.0),
                dict(type='mmparts.BoxL1Cost', weight=5.0),
                dict(type='mmparts.GIoUCost', weight=2.0),
            ]
        ),
    ),
)

optim_wrapper = dict(optimizer=dict(lr=5e-4))  # dense attention wants less than deformable
train_cfg = dict(max_epochs=24, val_interval=4)

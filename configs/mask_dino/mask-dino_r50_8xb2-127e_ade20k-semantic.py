# Mask DINO, ResNet-50, 3 levels, 100 learned queries, 127 epochs (160,000 iterations). ADE20K val mIoU: 48.7 (paper).
_base_ = [
    '../_base_/models/mask_dino_r50.py',
    '../_base_/datasets/ade20k_semantic.py',
    '../_base_/schedules/schedule_mask_50e.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    num_classes={{_base_.num_classes}},
    num_queries=100,
    num_levels=3,
    encoder=dict(ffn_channels=1024),
    queries=dict(_delete_=True, type='mmparts.AnchorQueries', content='learned'),
    head=dict(
        no_object=True,
        terms=[
            dict(type='mmparts.SoftmaxTerm', weight=4.0, no_object_weight=0.1),
            dict(type='mmparts.BoxL1Term', weight=5.0),
            dict(type='mmparts.GIoUTerm', weight=2.0),
            dict(type='mmparts.PointTerm', weight=5.0),
            dict(type='mmparts.PointDiceTerm', weight=5.0),
        ],
        matcher=dict(
            costs=[
                dict(type='mmparts.SoftmaxCost', weight=4.0),
                dict(type='mmparts.BoxL1Cost', weight=5.0),
                dict(type='mmparts.GIoUCost', weight=2.0),
            ]
        ),
        select=dict(no_object=True),
        maps=[dict(type='mmparts.SemanticMap', temperature=None)],
    ),
)

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'queries.content': dict(decay_mult=0.0),
            'queries.centre': dict(decay_mult=0.0),
            'queries.size': dict(decay_mult=0.0),
        }
    )
)
train_cfg = dict(max_epochs=127, val_interval=8)
param_scheduler = [dict(type='MultiStepLR', milestones=[107, 119], gamma=0.1)]

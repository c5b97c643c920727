# ONE-PEACE's vision branch as it is published, with a head for ImageNet: 1,514,569,056 parameters before the head.
_base_ = './one_peace.py'
model = dict(
    data_preprocessor=dict(inputs=dict(_delete_=True, image={{_base_.model.data_preprocessor.inputs.image}})),
    towers=dict(_delete_=True, image={{_base_.model.towers.image}}),
    fusion=dict(experts=('image',), final_norm=False),
    projections=None,
    objectives=dict(
        _delete_=True,
        classes=dict(
            type='mmparts.JointClasses',
            between=('image',),
            num_classes=1000,
            read='mean',
            label_smoothing=0.1,
            head=dict(type='mmparts.JointHead', norm_first=True, last_scale=0.001),
        ),
    ),
    inference=dict(type='mmparts.ClassScores'),
)

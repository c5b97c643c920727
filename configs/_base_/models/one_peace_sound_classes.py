# ONE-PEACE that names what is heard, its sound part alone: a query pools the frames; of VGGSound's 309 classes
# 1,543,945,397 parameters.
_base_ = './one_peace_sound_retrieval.py'
model = dict(
    data_preprocessor=dict(inputs=dict(_delete_=True, audio={{_base_.model.data_preprocessor.inputs.audio}})),
    towers=dict(_delete_=True, audio={{_base_.model.towers.audio}}),
    fusion=dict(experts=('audio',), drop_path=0.6),
    projections=None,
    objectives=dict(
        _delete_=True,
        classes=dict(
            type='mmparts.JointClasses',
            between=('audio',),
            num_classes=309,
            read=dict(type='mmparts.QueryPooling', of='audio'),
            head=dict(type='mmparts.JointHead', norm_first=True, hidden_dims=3072, norm_hidden=True),
        ),
    ),
    inference=dict(type='mmparts.ClassScores'),
)

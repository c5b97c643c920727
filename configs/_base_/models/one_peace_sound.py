# ONE-PEACE in its second stage, sounds and texts: what belongs to sounds is trained, all else stays as it is.
_base_ = './one_peace.py'
model = dict(
    data_preprocessor=dict(
        inputs=dict(
            _delete_=True,
            audio={{_base_.model.data_preprocessor.inputs.audio}},
            text={{_base_.model.data_preprocessor.inputs.text}},
        )
    ),
    towers=dict(_delete_=True, audio={{_base_.model.towers.audio}}, text={{_base_.model.towers.text}}),
    fusion=dict(experts=('text', 'audio'), learns='audio'),
    projections=dict(_delete_=True, audio={{_base_.model.projections.audio}}, text={{_base_.model.projections.text}}),
    objectives=dict(
        contrastive=dict(between=('text', 'audio')),
        denoising=dict(
            type='mmparts.DenoisingContrast',
            kinds={'audio': 1.0, 'text+audio:text': 0.5, 'text+audio:audio': 0.5},
            teachers={'audio': 'text+audio:audio'},
        ),
    ),
)

# ONE-PEACE in its first stage, images and texts: contrast of pairs, and of tokens that are hidden.
_base_ = './one_peace.py'
model = dict(
    data_preprocessor=dict(
        inputs=dict(
            _delete_=True,
            image={{_base_.model.data_preprocessor.inputs.image}},
            text={{_base_.model.data_preprocessor.inputs.text}},
        )
    ),
    towers=dict(_delete_=True, image={{_base_.model.towers.image}}, text={{_base_.model.towers.text}}),
    fusion=dict(experts=('image', 'text')),
    projections=dict(_delete_=True, image={{_base_.model.projections.image}}, text={{_base_.model.projections.text}}),
    objectives=dict(denoising=dict(type='mmparts.DenoisingContrast')),
)

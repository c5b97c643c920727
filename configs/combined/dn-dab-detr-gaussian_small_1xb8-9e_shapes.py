# DN-DETR whose anchor queries look through SMCA's Gaussians: DAB's conditional attention is their base, small.
_base_ = '../dn_detr/dn-detr_small_1xb8-9e_shapes.py'
model = dict(
    decoder=dict(
        cross_attn=dict(
            _delete_=True, type='mmparts.GaussianCrossAttention', base=dict(type='mmparts.ConditionalCrossAttention')
        ),
        spatial_prior=dict(type='mmparts.GaussianPrior', centre=False),
    )
)

# BLIP that finds images and texts: contrastive and matching, no writing. Base at 384: 223,744,258 parameters, the
# temperature, and the momentum copy.
_base_ = './blip.py'
model = dict(
    data_preprocessor=dict(inputs=dict(text=dict(tokenizer=dict(context_length=35)))),
    towers=dict(image=dict(backbone=dict(image_size=384)), text=dict(type='mmparts.MedTower', memory_dims=768)),
    fusion=dict(type='mmparts.MedFusion'),
    projections=dict(
        image=dict(type='mmparts.LinearProjection', out_dims=256),
        text=dict(type='mmparts.LinearProjection', out_dims=256),
    ),
    momentum=dict(type='mmparts.MomentumEncoders', momentum=0.995),
    objectives=dict(
        contrastive=dict(
            type='mmparts.Contrastive',
            keys=dict(type='mmparts.QueueKeys', dims=256, size=57600, by_image=True),
            targets=dict(type='mmparts.SoftTargets', share=0.4),
            scale=dict(type='mmparts.Temperature', start=0.07),
        ),
        matching=dict(
            type='mmparts.Matching', negatives=dict(type='mmparts.HardNegatives', keys='own', floor=0.0, by_image=True)
        ),
    ),
)

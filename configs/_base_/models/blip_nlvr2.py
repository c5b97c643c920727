# BLIP that says whether a sentence is true of two images. Base at 384: 259,372,034 parameters.
_base_ = './blip.py'
model = dict(
    data_preprocessor=dict(inputs=dict(image=dict(type='mmparts.ImagePairInputs'))),
    towers=dict(
        image=dict(backbone=dict(image_size=384)), text=dict(type='mmparts.MedTower', memory_dims=768, twins='merge')
    ),
    fusion=dict(type='mmparts.TwinFusion'),
    objectives=dict(
        reasoning=dict(
            type='mmparts.JointClasses', num_classes=2, head=dict(type='mmparts.JointHead', hidden_dims=768, act='relu')
        )
    ),
    inference=dict(type='mmparts.TruthOfPairs', objective='reasoning'),
)

# BEiT-3 that names what an image shows, its image part alone; base at 224: 86,662,120 parameters.
_base_ = './beit3.py'
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='mmparts.MultimodalPreprocessor',
        inputs=dict(
            image=dict(type='mmparts.ImageInputs', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
        ),
    ),
    towers=dict(_delete_=True, image=dict(type='mmparts.PatchTower', arch='base')),
    fusion=dict(experts=('image',), final_norm=False, drop_path=0.15),
    objectives=dict(
        classes=dict(
            type='mmparts.JointClasses',
            between=('image',),
            num_classes=1000,
            read='mean',
            label_smoothing=0.1,
            head=dict(type='mmparts.JointHead', norm_first=True, last_scale=0.001),
        )
    ),
    inference=dict(type='mmparts.ClassScores'),
)

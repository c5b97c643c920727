# BEiT-3 that answers questions by choosing among 3,129 answers; base at 480: 228,110,649 parameters.
_base_ = './beit3.py'
model = dict(
    fusion=dict(image_size=480, drop_path=0.1, final_norm=False),
    objectives=dict(
        answers=dict(
            type='mmparts.AnswerClasses',
            num_classes=3129,
            loss='bce',
            head=dict(type='mmparts.JointHead', pooler=True, hidden_dims=1536, norm_hidden=True),
        )
    ),
    inference=dict(type='mmparts.ChosenAnswers'),
)

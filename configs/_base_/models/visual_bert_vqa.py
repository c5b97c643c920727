# VisualBERT that chooses among 3,129 answers. A question ends in a mask ("... ? [MASK]"), where the answer is read.
_base_ = './visual_bert.py'
model = dict(
    fusion=dict(pooler=False),
    objectives=dict(
        answers=dict(
            type='mmparts.AnswerClasses',
            between=('text', 'regions'),
            num_classes=3129,
            loss='kl',
            read='mask',
            head=dict(type='mmparts.JointHead', dropout=0.1),
        )
    ),
    inference=dict(type='mmparts.ChosenAnswers'),
)

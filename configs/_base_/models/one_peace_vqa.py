# ONE-PEACE that answers questions by choosing among 3,129 answers, read off the question's own tokens;
# 2,750,772,153 parameters.
_base_ = './one_peace_retrieval.py'
model = dict(
    projections=None,
    objectives=dict(
        _delete_=True,
        answers=dict(
            type='mmparts.AnswerClasses',
            num_classes=3129,
            loss='bce',
            read=dict(type='mmparts.QueryPooling'),
            head=dict(type='mmparts.JointHead', pooler=True, hidden_dims=3072, norm_hidden=True),
        ),
    ),
    inference=dict(type='mmparts.ChosenAnswers'),
)

# ONE-PEACE that finds what a phrase means in an image of 384 pixels, read off the image's own tokens: a query looks at
# them, and a head tells the corners of the box; 2,740,006,276 parameters.
_base_ = './one_peace_retrieval.py'
model = dict(
    towers=dict(image=dict(bias_size=384)),
    fusion=dict(drop_path=0.4),
    projections=None,
    objectives=dict(
        _delete_=True,
        box=dict(
            type='mmparts.PhraseBox',
            read=dict(type='mmparts.QueryPooling', of='image'),
            head=dict(type='mmparts.JointHead', norm_first=True, hidden_dims=3072, norm_hidden=True),
        ),
    ),
    inference=dict(type='mmparts.FoundBoxes'),
)

# Perceiver IO with learned positions: it is told nothing of the structure of images. Top-1 72.7 (paper).
_base_ = './perceiver-io_fourier_8xb128-110e_imagenet.py'
model = dict(
    backbone=dict(
        inputs=dict(
            features=dict(type='mmparts.PointwiseConv', embed_dims=256),
            position=dict(
                _delete_=True, type='mmparts.LearnedPosition', size=(224, 224), embed_dims=256, project_dims=256
            ),
        ),
        decoder=dict(query_residual=False),
    )
)

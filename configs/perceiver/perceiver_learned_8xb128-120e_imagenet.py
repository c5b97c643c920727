# Perceiver with learned positions: it is told nothing of the structure of images. Top-1 70.9 (paper).
_base_ = './perceiver_fourier_8xb128-120e_imagenet.py'
model = dict(
    backbone=dict(
        inputs=dict(position=dict(_delete_=True, type='mmparts.LearnedPosition', size=(224, 224), embed_dims=256))
    )
)

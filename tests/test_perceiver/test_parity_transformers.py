"""Perceiver IO beside transformers', with the same weights; tiny, and every weight far from its start.

Their exact GELU is asked for (`gelu='erf'`), and of the convolutional stem their padding; of learned positions they add
the query to what it finds, the official code does not.
"""

import pytest
import torch
from mmengine.registry import DefaultScope
from parity import close, randomise, reference

from mmparts.registry import MODELS
from mmparts.weights.convert import account

SIZES = dict(d_latents=32, num_latents=6, num_blocks=2, num_self_attends_per_block=2, num_self_attention_heads=4,
    num_cross_attention_heads=1, attention_probs_dropout_prob=0.0)  # fmt: skip
ENCODER = dict(
    type='mmparts.LatentEncoder', num_latents=6, embed_dims=32, num_blocks=2, num_layers=2, num_heads=4, gelu='erf'
)
PREPROCESSOR = dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3)


def theirs(name: str, **options):
    module = reference('transformers.models.perceiver.modeling_perceiver')
    config = reference('transformers').PerceiverConfig(**SIZES | options)
    model = getattr(module, name)(config).eval()
    randomise(model)
    for key, parameter in model.named_parameters():
        if 'position_embeddings' in key or 'latents' in key:
            parameter.data.normal_()
    return model


def fill(model, other):
    """All of their weights in ours; nothing left over."""
    made = account(other.state_dict(), model).check()
    assert made.layout == 'transformers-perceiver' and not made.dropped
    assert not made.initialised
    model.load_state_dict(made.state)
    return model.eval()


FOURIER = dict(type='mmparts.FourierPosition', num_bands=64, max_resolution=(224, 224))
FORMS = {
    'Fourier': dict(type='mmparts.MapInput', position=FOURIER),
    'Learned': dict(
        type='mmparts.MapInput',
        features=dict(type='mmparts.PointwiseConv', embed_dims=256),
        position=dict(type='mmparts.LearnedPosition', size=(24, 24), embed_dims=256, project_dims=256),
    ),
    'ConvProcessing': dict(
        type='mmparts.MapInput',
        features=dict(type='mmparts.ConvStem', padding='transformers'),
        position=dict(FOURIER, max_resolution=(56, 56)),
    ),
}


@torch.no_grad()
@pytest.mark.parametrize('form', FORMS)
def test_parity_of_classifiers(form):
    other = theirs(f'PerceiverForImageClassification{form}', image_size=24, num_labels=5)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(
            dict(
                type='mmparts.Classifier',
                data_preprocessor=PREPROCESSOR,
                backbone=dict(
                    type='mmparts.Perceiver',
                    inputs=FORMS[form],
                    encoder=ENCODER,
                    queries=dict(type='mmparts.VectorQueries', embed_dims=32),
                    decoder=dict(type='mmparts.LatentDecoder', query_residual=True, gelu='erf'),
                ),
                num_classes=5,
            )
        )
    fill(model, other)
    images = torch.randn(2, 3, 24, 24)
    close('logits', model(images), other(images).logits, 1e-5)

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


def model_of(**cfg):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg)


@torch.no_grad()
def test_parity_of_masked_bytes():
    """Padded and not; where a text ends they may say anything."""
    other = theirs(
        'PerceiverForMaskedLM',
        d_model=24,
        max_position_embeddings=20,
        qk_channels=16,
        v_channels=32,
        num_cross_attention_heads=4,
    )
    model = model_of(
        type='mmparts.MaskedBytes',
        backbone=dict(
            type='mmparts.Perceiver',
            inputs=dict(type='mmparts.BytesInput', embed_dims=24, max_length=20),
            encoder=dict(ENCODER, cross_heads=4, qk_dims=16, v_dims=32),
            queries=dict(type='mmparts.VectorQueries', num_queries=20, embed_dims=24, follow=True),
            decoder=dict(type='mmparts.LatentDecoder', num_heads=8, qk_dims=256, v_dims=24, gelu='erf'),
        ),
    )
    fill(model, other)
    ids = torch.randint(6, 262, (2, 20))
    mask = torch.ones_like(ids)
    ids[1, 13:] = mask[1, 13:] = 0
    ours, expected = model(ids), other(inputs=ids, attention_mask=mask).logits
    close('logits', ours, expected, 1e-5)


@torch.no_grad()
def test_parity_of_flow():
    other = theirs('PerceiverForOpticalFlow', train_size=[12, 16], d_model=322)
    model = model_of(
        type='mmparts.FlowEstimator',
        tile=(12, 16),
        overlap=4,
        backbone=dict(
            type='mmparts.Perceiver',
            inputs=dict(
                type='mmparts.MapInput',
                features=dict(type='mmparts.FramePatches'),
                position=dict(type='mmparts.FourierPosition', num_bands=64, max_resolution=(12, 16)),
            ),
            encoder=ENCODER,
            queries=dict(type='mmparts.InputQueries'),
            decoder=dict(type='mmparts.LatentDecoder', out_dims=2, gelu='erf'),
        ),
    )
    fill(model, other)
    frames = torch.randn(2, 3, 2, 12, 16)
    patches = torch.zeros(2, 2, 27, 12, 16)  # of each pixel the 3x3 around it: rows, columns, colours
    padded = torch.nn.functional.pad(frames, (1, 1, 1, 1))
    for row in range(3):
        for column in range(3):
            part = padded[..., row : row + 12, column : column + 16].transpose(1, 2)
            patches[:, :, 3 * (3 * row + column) :][:, :, :3] = part
    expected = 20 * other(inputs=patches).logits.permute(0, 3, 1, 2)
    close('flow', model(frames), expected, 1e-5)


@torch.no_grad()
def test_parity_of_the_autoencoder():
    """Decoded in parts, as the official code does; the whole is the same."""
    other = theirs(
        'PerceiverForMultimodalAutoencoding',
        num_labels=7,
        num_frames=2,
        audio_samples_per_frame=32,
        samples_per_patch=16,
        image_size=4,
        output_shape=[1, 2, 16, 16],
        output_num_channels=32,
        d_model=704,
        _label_trainable_num_channels=48,
    )
    fourier = dict(type='mmparts.FourierPosition', spacing='half-open')
    sound, video = (
        dict(fourier, num_bands=bands, max_resolution=size) for bands, size in ((192, (64,)), (32, (2, 4, 4)))
    )
    model = model_of(
        type='mmparts.MultimodalAutoencoder',
        num_classes=7,
        chunks=3,
        backbone=dict(
            type='mmparts.Perceiver',
            inputs=dict(
                type='mmparts.MultimodalInput',
                inputs=dict(
                    audio=dict(type='mmparts.AudioInput', patch=16, position=dict(sound, spacing='inclusive')),
                    image=dict(
                        type='mmparts.MapInput',
                        features=dict(type='mmparts.SpaceToDepth', block=(1, 4, 4)),
                        position=dict(video, spacing='inclusive'),
                    ),
                    label=dict(type='mmparts.LabelInput', num_classes=7),
                ),
                mask_rates=dict(audio=0.0, image=0.0, label=1.0),
            ),
            encoder=ENCODER,
            queries=dict(
                type='mmparts.MultimodalQueries',
                queries=dict(
                    audio=dict(type='mmparts.PositionQueries', size=(4,), position=sound),
                    image=dict(type='mmparts.PositionQueries', size=(2, 16, 16), position=video),
                    label=dict(type='mmparts.VectorQueries', embed_dims=48),
                ),
            ),
            decoder=dict(type='mmparts.LatentDecoder', out_dims=32, gelu='erf'),
        ),
    )
    fill(model, other)
    inputs = dict(image=torch.rand(2, 3, 2, 16, 16), audio=torch.rand(2, 64), label=torch.zeros(2, 7))
    points = dict(image=torch.arange(2 * 16 * 16), audio=torch.arange(4), label=None)
    given = dict(inputs, image=inputs['image'].transpose(1, 2), audio=inputs['audio'][..., None])
    expected = other(inputs=given, subsampled_output_points=points).logits
    ours = model(inputs)
    close('video', ours['image'].flatten(2).transpose(1, 2), expected['image'], 1e-5)
    close('sound', ours['audio'], expected['audio'], 1e-5)
    close('class', ours['label'], expected['label'], 1e-5)

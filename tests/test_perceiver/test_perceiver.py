"""The Perceiver as a choice of parts: counts, what must hold, what is refused."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmparts.perceiver.arrays import InputArray
from mmparts.perceiver.blocks import CrossAttend
from mmparts.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
FOURIER = dict(type='mmparts.FourierPosition', num_bands=4, max_resolution=(12, 10))
ENCODER = dict(type='mmparts.LatentEncoder', num_latents=6, embed_dims=16, num_blocks=4, num_layers=2, num_heads=2)
INPUTS = dict(type='mmparts.MapInput', position=FOURIER)
READ = dict(
    queries=dict(type='mmparts.VectorQueries', embed_dims=16), decoder=dict(type='mmparts.LatentDecoder', out_dims=5)
)


def build(**changes) -> nn.Module:
    torch.manual_seed(0)
    cfg = dict(type='mmparts.Perceiver', inputs=INPUTS, encoder=ENCODER) | changes
    return MODELS.build(cfg)


@pytest.mark.parametrize(
    ('path', 'count'),
    [
        ('perceiver/perceiver_fourier_8xb128-120e_imagenet.py', 44_912_254),
        ('perceiver_io/perceiver-io_fourier_8xb128-110e_imagenet.py', 48_440_627),
        ('perceiver_io/perceiver-io_learned_8xb128-110e_imagenet.py', 62_255_848),
        ('perceiver_io/perceiver-io_conv_8xb128-110e_imagenet.py', 48_646_522),
        ('perceiver_io/perceiver-io_bytes_64xb8-500k_text.py', 201_108_230),
        ('perceiver_io/perceiver-io_flow_64xb8-480e_flow-pairs.py', 41_057_134),
        ('perceiver_io/perceiver-io_autoencoder_64xb16-500k_clips.py', 19_858_855),
    ],
)
def test_counts_are_those_of_the_official_code(path, count):
    with DefaultScope.overwrite_default_scope('mmdet'), torch.device('meta'):
        model = MODELS.build(Config.fromfile(CONFIGS / path).model)
    assert sum(each.numel() for each in model.parameters()) == count


class TestSharing:
    @pytest.mark.parametrize(('weights', 'kinds'), [('first-own', 2), ('shared', 1), ('own', 4)])
    def test_cross_attends(self, weights, kinds):
        encoder = build(encoder=dict(ENCODER, num_cross_attends=4, cross_weights=weights)).encoder
        looks = [layer for layer in encoder.schedule() if isinstance(layer, CrossAttend)]
        assert len(looks) == 4 and len(set(looks)) == kinds and len(encoder.schedule()) == 4 + 4 * 2
        assert all(look is looks[-1] for look in looks[1:]) or weights == 'own'

    def test_blocks_of_one_set_of_weights_are_run_again(self):
        """Equal to blocks of their own that hold the same weights."""
        shared, own = (build(encoder=dict(ENCODER, block_weights=each)) for each in ('shared', 'own'))
        state = shared.state_dict()
        own.load_state_dict(
            {
                name: state[name if 'encoder.blocks' not in name else 'encoder.blocks.0.' + name.split('.', 3)[3]]
                for name in own.state_dict()
            }
        )
        images = torch.randn(2, 3, 12, 10)
        torch.testing.assert_close(shared(images)[0], own(images)[0])

    def test_where_cross_attends_stand(self):
        encoder = build(encoder=dict(ENCODER, num_cross_attends=2)).encoder
        assert [isinstance(each, CrossAttend) for each in encoder.schedule()] == [True, *[False] * 4] * 2


def test_pixels_are_a_set_once_their_positions_are_with_them():
    """Section 4.1 of the paper: the order of the array does not matter."""
    model = build(encoder=dict(ENCODER, num_cross_attends=4)).double()
    array = model.inputs(torch.randn(2, 3, 12, 10, dtype=torch.double))
    order = torch.randperm(120)
    latents = [model.encoder(InputArray(tokens)) for tokens in (array.tokens, array.tokens[:, order])]
    torch.testing.assert_close(*latents, atol=1e-12, rtol=0)


@pytest.mark.parametrize('size', [(12, 10), (7, 13)])
@pytest.mark.parametrize('batch', [1, 3])
def test_images_of_any_size_alone_and_in_a_batch(size, batch):
    model = build().eval()
    images = torch.randn(3, 3, *size)
    torch.testing.assert_close(model(images)[0][:batch], model(images[:batch])[0])


@pytest.mark.parametrize('kind', ['mean', 'query', 'places', 'inputs'])
def test_every_parameter_gets_a_gradient(kind):
    position = dict(queries=dict(type='mmparts.PositionQueries', position=FOURIER))
    ways = {
        'mean': dict(),
        'query': READ,
        'places': dict(READ, **position),
        'inputs': dict(READ, queries=dict(type='mmparts.InputQueries')),
    }
    model = build(encoder=dict(ENCODER, num_cross_attends=2), **ways[kind])
    (out,) = model(torch.randn(2, 3, 12, 10))
    assert out.shape == {'mean': (2, 16), 'query': (2, 5)}.get(kind, (2, 5, 12, 10))
    out.square().sum().backward()
    assert not [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()]


def test_recomputed_layers_give_the_same_gradients():
    gradients = []
    for with_cp in (False, True):
        model = build(encoder=dict(ENCODER, with_cp=with_cp, num_cross_attends=2))
        model(torch.ones(1, 3, 12, 10))[0].sum().backward()
        gradients.append(torch.cat([each.grad.flatten() for each in model.parameters()]))
    torch.testing.assert_close(*gradients)


class TestMasks:
    def test_what_is_masked_does_not_count(self):
        layer = CrossAttend(8, 6)
        queries, array = torch.randn(2, 3, 8), torch.randn(2, 5, 6)
        mask = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
        whole = layer(queries, array, mask)
        torch.testing.assert_close(whole[:1], layer(queries[:1], array[:1, :3]))
        torch.testing.assert_close(whole[1:], layer(queries[1:], array[1:]))

    def test_an_empty_array_is_found_to_be_nothing(self):
        layer = CrossAttend(8, 6)
        queries, array = torch.randn(1, 3, 8), torch.randn(1, 4, 6, requires_grad=True)
        out = layer(queries, array, torch.zeros(1, 4, dtype=torch.bool))
        x = queries + layer.attn.out_proj.bias
        torch.testing.assert_close(out, x + layer.mlp(layer.norm(x)))
        out.sum().backward()
        assert not array.grad.any()


class TestQueries:
    def test_a_part_of_the_outputs_is_a_part_of_the_whole(self):
        model = build(**dict(READ, queries=dict(type='mmparts.PositionQueries', position=FOURIER, size=(4, 6)))).eval()
        array, latents = model.encode(torch.randn(2, 3, 12, 10))
        points = torch.tensor([0, 5, 23])
        torch.testing.assert_close(model.decode(array, latents, points), model.decode(array, latents)[:, points])

    def test_the_official_code_places_a_part_elsewhere(self):
        queries = dict(type='mmparts.PositionQueries', position=FOURIER, size=(4, 6), consistent=False)
        model = build(**dict(READ, queries=queries))
        array = model.inputs(torch.randn(1, 3, 12, 10))
        places = model.queries(array, torch.arange(24))[0, :, :2]
        assert places[-1].tolist() == pytest.approx([-1 + 2 * 3 / 4, -1 + 2 * 5 / 6])
        assert model.queries(array)[0, -1, :2].tolist() == [1, 1]

    def test_outputs_in_chunks_are_the_same(self):
        model = build(**dict(READ, queries=dict(type='mmparts.PositionQueries', position=FOURIER))).eval()
        with torch.no_grad():
            (whole,) = model(torch.ones(1, 3, 12, 10))
            model.decoder.chunk = 7
            torch.testing.assert_close(model(torch.ones(1, 3, 12, 10))[0], whole)


LEARNED = dict(type='mmparts.LearnedPosition', size=(12, 10), embed_dims=8)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(queries=READ['queries']), 'MeanDecoder reads no queries, but there are VectorQueries'),
        (dict(decoder=READ['decoder']), 'LatentDecoder decodes by queries, and there are none'),
        (dict(encoder=dict(ENCODER, num_cross_attends=3)), 'num_cross_attends=3 cannot be spread over num_blocks=4'),
        (dict(encoder=dict(ENCODER, cross_weights='each')), "cross_weights='each' is unknown"),
        (dict(encoder=dict(ENCODER, num_heads=3)), 'embed_dims 16 is not a multiple of num_heads 3'),
        (dict(encoder=dict(ENCODER, gelu='relu')), "gelu='relu' is unknown; choose from 'erf', 'tanh'"),
        (dict(inputs=dict(INPUTS, combine='add')), "combine='add' needs as many channels of positions"),
        (
            dict(inputs=dict(INPUTS, features=dict(type='mmparts.SpaceToDepth', block=(1, 2, 2)))),
            'SpaceToDepth gives a map of 3 axes, FourierPosition tells places along 2',
        ),
        (
            dict(inputs=dict(type='mmparts.PointInput', position=LEARNED)),
            'LearnedPosition tells places of a map; points have coordinates of their own',
        ),
        (
            dict(READ, queries=dict(type='mmparts.PositionQueries', position=LEARNED)),
            'queries of places are Fourier features; got LearnedPosition',
        ),
        (
            dict(READ, queries=dict(type='mmparts.PositionQueries', position=FOURIER, size=(3,))),
            r'size=\(3,\) has other axes',
        ),
    ],
)
def test_nonsense_is_refused_when_it_is_built(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize(
    ('changes', 'data', 'message'),
    [
        ({}, torch.zeros(1, 4, 12, 10), r'images have 4 channels.*in_channels=3'),
        ({}, torch.zeros(1, 3, 12), r'inputs of 3 axes \(1, 3, 12\); Pixels takes images'),
        (
            dict(inputs=dict(type='mmparts.MapInput', position=LEARNED)),
            torch.zeros(1, 3, 12, 12),
            'a map of 12x12 places, but positions were learned for 12x10',
        ),
        (
            dict(inputs=dict(INPUTS, features=dict(type='mmparts.SpaceToDepth', block=(4, 4)))),
            torch.zeros(1, 3, 12, 10),
            'a map of 12x10 is not cut into blocks of 4x4; pad it to 12x12',
        ),
        (
            dict(inputs=dict(type='mmparts.BytesInput', embed_dims=8, max_length=5)),
            torch.zeros(1, 6, dtype=torch.long),
            'a text of 6 ids; this model has positions for 5',
        ),
        (
            dict(inputs=dict(type='mmparts.AudioInput', position=dict(FOURIER, max_resolution=(64,)), num_samples=64)),
            torch.zeros(1, 60),
            'sound of 60 samples; this model takes 64 at 48000 a second: resample it',
        ),
        (
            dict(inputs=dict(type='mmparts.EntityInput', point_dims=4)),
            torch.zeros(1, 3, 5),
            r'entities of shape \(1, 3, 5\); this EntityInput takes B N 4',
        ),
        (
            dict(inputs=dict(type='mmparts.LabelInput', num_classes=4)),
            torch.zeros(1, 5),
            r'labels of shape \(1, 5\); this LabelInput takes B 4',
        ),
        (
            dict(READ, queries=dict(type='mmparts.VectorQueries', num_queries=3, embed_dims=16)),
            torch.zeros(1, 3, 12, 10),
            '3 outputs that lie on no map',
        ),
    ],
)
def test_data_that_do_not_fit_are_named(changes, data, message):
    model = build(**changes)
    with pytest.raises(ValueError, match=message):
        model(data)


def test_a_learned_table_is_resized_on_request():
    model = build(inputs=dict(type='mmparts.MapInput', position=dict(LEARNED, resize=True)))
    assert model(torch.randn(1, 3, 9, 14))[0].shape == (1, 16)

"""SpecTr: counts of 2021 and 2023, entmax against its package, norms of bands, portions, official names of both
orders."""

import pytest
import torch
from parity import reference
from segmentors import build, count, official_names, official_state, on_meta, trains

from mmparts.segment.spectr.attention import SparseAttention, SpectralTransformer, interleaved_sines
from mmparts.segment.spectr.encoder import BandNorm
from mmparts.segment.spectr.entmax import entmax
from mmparts.segment.spectr.pyramid import sources
from mmparts.segment.spectr.weights import SpecTrLayout


def spectr(channels=(64, 128, 256, 512), bands=60, num_classes=1, **encoder):
    return dict(
        type='mmparts.Segmentor',
        in_channels=bands,
        num_classes=num_classes,
        encoder=dict(type='mmparts.SpectralEncoder', channels=channels, **encoder),
        decoder=dict(type='mmparts.UpDecoder', dims=3, level=dict(type='mmparts.ResizeLevel')),
        head=dict(type='mmparts.SpectralRegionHead', dims=3, regions={f'{i}': (i + 1,) for i in range(num_classes)}),
        terms=[
            dict(type='mmparts.SoftDiceTerm', smooth_nr=1, smooth_dr=1),
            dict(type='mmparts.BinaryCrossEntropyTerm'),
        ],
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor'),
    )


def journal(channels=(32, 64, 128, 256), bands=60, decoder={}, **encoder):
    cfg = spectr(channels, bands, band_norm=True, layer_scale=0.01, out_norm=False, **encoder)
    cfg['bottleneck'] = dict(type='mmparts.CrossScaleBottleneck', num_heads=encoder.get('num_heads', 8))
    cfg['decoder'] = dict(type='mmparts.CubePyramidDecoder', **decoder)
    return cfg


SMALL = dict(channels=(4, 8, 8, 16), num_heads=2)
PYRAMID = dict(pyramid_dims=8, branch_dims=4, num_groups=2)


def test_counts():
    assert count(spectr()) == 15_088_825
    assert count(spectr(band_norm=True)) == 15_087_803
    assert count(spectr((32, 64, 128, 256))) == 3_776_617
    never_applied = 2 * (64 + 128 + 256)
    assert count(journal()) + never_applied == 3_943_779


@pytest.mark.parametrize('cfg', [spectr(bands=18, num_classes=2, **SMALL), journal(bands=17, decoder=PYRAMID, **SMALL)])
def test_trains_on_odd_cubes(cfg):
    """Also with a single band left at the coarsest level, where attention has nothing to choose from."""
    trains(build(cfg), [(20, 27), (16, 25)], num_classes=2)


@pytest.mark.parametrize(('num_groups', 'seen'), [(None, False), (1, True)])
def test_without_norms_a_pixel_does_not_see_the_other_end_of_a_patch(num_groups, seen):
    """Each map but the finest has half the bands of the one before; all have the places of the image."""
    how = dict(channels=(4, 8), num_heads=2, dropout=0.0, pool_places=False, num_groups=num_groups)
    encoder = build(spectr(bands=18, **how)).encoder.eval()
    image = torch.randn(1, 18, 5, 24)
    other = image.clone()
    other[..., -1] += 5
    with torch.no_grad():
        for stride, before, after in zip((1, 2), encoder(image), encoder(other)):
            assert before.shape[2:] == (18 // stride, 5, 24)
            assert not before[..., -4:].isclose(after[..., -4:]).all()
            assert before[..., :12].allclose(after[..., :12], atol=1e-6) != seen
    assert encoder.strides == ((1, 1, 1), (2, 1, 1))


def test_a_cube_that_is_too_small_is_refused():
    model = build(spectr(bands=6, **SMALL))
    with pytest.raises(ValueError, match='6 bands and 20x20 pixels is too small for its 4 levels; at least 8 bands'):
        model(torch.randn(1, 6, 20, 20))


@pytest.mark.parametrize('alpha', [1.01, 1.3, 1.5, 2.0])
def test_parity_entmax(alpha):
    """Values and gradients, double precision."""
    library = reference('entmax')
    scores = torch.randn(3, 5, 7, dtype=torch.float64, requires_grad=True)
    alphas = torch.full((3, 1, 1), alpha, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 5, 7, dtype=torch.float64)
    results = []
    for made in (entmax(scores, alphas), library.entmax_bisect(scores, alphas, dim=-1)):
        results.append((made, *torch.autograd.grad((made * weight).sum(), (scores, alphas))))
    for ours, theirs in zip(*results):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_entmax_lies_between_softmax_and_sparsemax():
    library = reference('entmax')
    scores = torch.randn(4, 9)
    assert torch.allclose(entmax(scores, torch.tensor([1.0001])), scores.softmax(-1), atol=1e-3)
    assert torch.allclose(entmax(scores, torch.tensor([2.0])), library.sparsemax(scores), atol=1e-5)
    assert torch.allclose(entmax(scores, torch.tensor([1.5])), library.entmax15(scores), atol=1e-5)


def test_gradients_of_entmax_by_differences():
    scores = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor([[1.4], [1.8]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(entmax, (scores, alpha), atol=1e-4)


def test_alpha_stays_between_1_and_2():
    attention = SparseAttention(8, 2)
    attention.alpha.data.fill_(50)
    assert attention.alphas().max() <= 2
    attention.alpha.data.fill_(-50)
    assert attention.alphas().min() >= 1.01
    free = SparseAttention(8, 2, bounded=False)
    assert free.alphas() is free.alpha and free.alpha.min() >= 1.01 and free.alpha.max() <= 2


def test_each_band_is_normalised_by_itself():
    norm = BandNorm(8)
    x = torch.randn(2, 8, 5, 4, 3)
    for band in range(5):
        assert torch.allclose(norm(x)[:, :, band], norm.norm(x[:, :, band]), atol=1e-6)


def test_portions_and_recomputing_change_nothing():
    whole = build_transformer()
    x = torch.randn(2, 8, 6, 3, 5)
    expected = whole(x)
    for how in (dict(chunk=4), dict(chunk=7, with_cp=True)):
        part = build_transformer(**how)
        part.load_state_dict(whole.state_dict())
        assert torch.allclose(part(x), expected, atol=1e-6)


def build_transformer(**how):
    return SpectralTransformer(8, num_heads=2, **how).eval()


def test_a_pixel_sees_its_own_spectrum_alone():
    x = torch.randn(1, 8, 6, 3, 4, requires_grad=True)
    build_transformer()(x)[0, :, :, 1, 2].square().sum().backward()
    reached = x.grad[0].abs().sum((0, 1)) > 0
    assert reached.sum() == 1 and reached[1, 2]


def test_sines_alternate_with_cosines():
    code = interleaved_sines(5, 6)
    angle = torch.tensor(3 * 10000 ** (-2 / 6))
    assert torch.allclose(code[3, 2:4], torch.stack([angle.sin(), angle.cos()]))


def test_levels_are_joined_in_the_official_order():
    assert sources(0, 3) == [0, 1, 2]  # own, 3 -> 2, 4 -> 2
    assert sources(1, 3) == [1, 2, 0]  # own, 4 -> 3, 2 -> 3
    assert sources(2, 3) == [2, 1, 0]  # own, 3 -> 4, 2 -> 4


def test_official_names():
    computed = [f'encoders.{i}.transform.trans.embeddings.pe' for i in (1, 2, 3)]
    assert len(official_names(SpecTrLayout, on_meta(spectr(bounded=False)))) == 107 - len(computed)
    model = build(spectr(bounded=False, **SMALL))
    state = same_alphas(official_state(SpecTrLayout, model, copies='.alpha'))
    made = SpecTrLayout.convert({**state, **dict.fromkeys(computed, torch.zeros(1))}, model)
    assert not made.missing and not made.refused and not made.unexpected, made
    assert set(made.dropped) == {*computed, *(key for key in state if key.endswith('alpha_chooser'))}


def same_alphas(state):
    return {
        key: state[key.replace('_chooser', '')] if key.endswith('alpha_chooser') else value
        for key, value in state.items()
    }


def test_alpha_becomes_what_a_sigmoid_makes_it_of():
    model = build(spectr(**SMALL))
    state = same_alphas(official_state(SpecTrLayout, model, copies='.alpha'))
    alphas = {key: 1.1 + 0.8 * value for key, value in state.items() if '.alpha' in key}
    made = SpecTrLayout.convert({**state, **alphas}, model)
    model.load_state_dict(made.state)
    attention = model.encoder.transformers[1].blocks[0].attn
    assert torch.allclose(
        attention.alphas(), alphas['encoders.1.transform.trans.encoder.layer.0.attn.att_fn.alpha'], atol=1e-5
    )
    beyond = {key: value + 1.5 for key, value in alphas.items()}
    assert 'bounded=False' in str(SpecTrLayout.convert({**state, **beyond}, model).refused)


def test_copies_of_a_norm_for_every_band_must_agree():
    model = build(spectr(bounded=False, band_norm=True, **SMALL))
    state = same_alphas(official_state(SpecTrLayout, model, copies='.alpha'))
    for key in [key for key in state if key.startswith('encoders') and 'groupnorm' in key]:
        value = state.pop(key)
        for band in range(7):
            state[key.replace('groupnorm', f'spectralnorm.bns.{band}')] = value.clone()
    made = SpecTrLayout.convert(state, model)
    assert not made.missing and not made.refused and not made.unexpected, made
    state['encoders.0.basic_module.SingleConv2.spectralnorm.bns.3.bias'] += 1
    assert 'should equal' in str(SpecTrLayout.convert(state, model).refused)

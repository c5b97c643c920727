"""DETR's masks: the decoder against transformers, the losses written out."""

import pytest
import tiny
import torch
from parity import reference

from mmparts.detr.cell_detr.terms import AreaDiceTerm
from mmparts.detr.detr_masks.attention_maps import AttentionMaps, SeparateMasks
from mmparts.detr.detr_masks.mask_decoder import PyramidMaskDecoder
from mmparts.detr.detr_masks.terms import MaskDiceTerm, MaskFocalTerm, PixelFocalTerm
from mmparts.detr.structures import ImageSizes, Matches, Memory, Targets

SQUARE = ImageSizes((96, 96), 2 * ((96, 96),))


def random_weights(*modules):
    torch.manual_seed(0)
    for module in modules:
        for parameter in module.parameters():
            parameter.data.normal_(std=0.3)


def test_parity_of_the_decoder_with_transformers():
    """Attention maps and convolutions, with the same weights; three levels above the coarsest, one image padded."""
    theirs = reference('transformers.models.detr.modeling_detr')
    attention = theirs.DetrMHAttentionMap(64, 8)
    head = theirs.DetrMaskHeadSmallConv(64 + 8, [24, 20, 16], 64)
    random_weights(attention, head)
    ours, maps = PyramidMaskDecoder(64, 8, channels=(32, 16, 8, 4)), AttentionMaps(64, 8)
    maps.query, key = attention.q_proj, attention.k_proj
    maps.key.weight.data, maps.key.bias.data = key.weight[..., None, None].data, key.bias.data
    for block, source in zip(ours.blocks, (head.conv1, head.conv2, *(stage.refine for stage in head.fpn_stages))):
        block[0], block[1] = source.conv, source.norm
    ours.output = head.output_conv

    tokens, state, coarse = torch.randn(2, 64, 3, 4), torch.randn(2, 5, 64), torch.randn(2, 64, 3, 4)
    fine = [torch.randn(2, channels, 3 * times, 4 * times) for channels, times in ((16, 8), (20, 4), (24, 2))]
    keep = torch.ones(2, 3, 4, dtype=torch.bool)
    keep[1, :, 3] = False
    memory = Memory.from_levels([tokens], [torch.zeros_like(tokens)], [keep])
    memory.images = ImageSizes(
        (24, 32), ((24, 32), (24, 24))
    )  # padded to that of the finest level, so that nothing is resized
    adapters = [stage.fpn_adapter for stage in reversed(head.fpn_stages)]
    memory.skips = [adapter(level) for adapter, level in zip(adapters, fine)] + [coarse]

    added = torch.zeros(2, 1, 1, 3, 4).masked_fill(~keep[:, None, None], torch.finfo(torch.float32).min)
    wanted = attention(state, tokens, added)
    seen = maps(state, memory)
    torch.testing.assert_close(seen, wanted, atol=1e-6, rtol=1e-5)
    image, query = torch.ones(2, 5).nonzero().unbind(1)
    found = ours(seen, memory).logits(image, query)
    torch.testing.assert_close(found, head(coarse, wanted, fine[::-1])[:, 0], atol=1e-4, rtol=1e-4)


class Whole:
    """Masks that are there already."""

    def __init__(self, pairs):
        self.pairs = pairs

    def matched(self, matches, layer, targets):
        self.layer = layer
        return self.pairs


@pytest.mark.parametrize(
    ('term', 'one'),
    [
        (MaskDiceTerm, lambda found, truth: 1 - (2 * (found * truth).sum() + 1) / (found.sum() + truth.sum() + 1)),
        (
            MaskFocalTerm,
            lambda found, truth: torch.where(
                truth > 0, -0.25 * (1 - found) ** 2 * (found + 1e-6).log(), -0.75 * found**2 * (1 - found + 1e-6).log()
            ).mean(),
        ),
    ],
)
def test_losses_are_sums_over_the_masks(term, one):
    """Images of unequal sizes, one without objects; the last layer's matches alone."""
    torch.manual_seed(0)
    pairs = [
        (torch.rand(count, *size), torch.randint(2, (count, *size)).float())
        for count, size in ((2, (4, 6)), (0, (3, 3)), (1, (5, 2)))
    ]
    masks = Whole(pairs)
    targets = Targets(torch.zeros(3), torch.zeros(3, 4), [2, 0, 1], ['a', 'b', 'c'])
    predictions = tiny.prediction_set(torch.zeros(2, 3, 4, 1), torch.zeros(2, 3, 4, 4), targets, masks=masks)
    value = term(weight=2.0)(predictions, None, torch.tensor(3.0))
    wanted = sum(one(found, truth) for each in pairs for found, truth in zip(*each))
    torch.testing.assert_close(value, 2 * wanted[None] / 3)
    assert masks.layer == 1


def decode(attention, skips, image, size):
    """A mask of one logit everywhere, which is the query's attention."""
    return attention[:, 0].expand(-1, *size)


def test_every_term_is_of_the_last_layer_whatever_came_before():
    """Matches of two layers, given as the matcher gives them and as known pairs are; two images, one without objects.

    Terms share what they compare, but not with the matches of another call."""
    torch.manual_seed(0)
    targets = Targets.from_samples(tiny.samples(counts=(2, 0)))
    rows = torch.tensor([[0, 0, 3, 0], [0, 0, 1, 1], [1, 0, 2, 1], [1, 0, 4, 0]]).T
    other = torch.tensor([[0, 0, 1, 0], [0, 0, 2, 1], [1, 0, 0, 0], [1, 0, 1, 1]]).T
    attention = torch.randn(1, 2, 5, 1, 1, 1)

    def losses(terms, index, masks, on_host=None):
        each = tiny.prediction_set(torch.zeros(2, 2, 5, 80), torch.zeros(2, 2, 5, 4), targets, masks=masks)
        matches = Matches(*index, on_host)
        return {term: term()(each, matches, torch.tensor(2.0)) for term in terms}

    def fresh():
        return SeparateMasks(attention, [], SQUARE, decode)

    terms = (MaskDiceTerm, MaskFocalTerm, AreaDiceTerm, PixelFocalTerm)
    alone = {name: value for term in terms for name, value in losses([term], rows, fresh()).items()}
    last = {name: value for term in terms for name, value in losses([term], rows[:, 2:], fresh()).items()}
    assert alone == last == losses(terms, rows, fresh()) == losses(terms[::-1], rows, fresh())
    assert alone == losses(terms, rows, fresh(), on_host=rows)

    shared = fresh()
    assert alone != losses(terms, other, shared) == losses(terms, other, fresh())
    assert alone == losses(terms, rows, shared)


def test_masks_are_decoded_once_for_all_terms():
    calls = []
    masks = SeparateMasks(torch.randn(1, 2, 5, 1, 1, 1), [], SQUARE, lambda *args: calls.append(1) or decode(*args))
    targets = Targets.from_samples(tiny.samples(counts=(2, 1)))
    matches = Matches(*torch.tensor([[1, 0, 3, 0], [1, 0, 0, 1], [1, 1, 2, 2]]).T)
    first = masks.matched(matches, 1, targets)
    assert masks.matched(matches, 1, targets) is first and len(calls) == 1
    for found, truth, query, (height, width) in zip(*zip(*first), ([3, 0], [2]), ((64, 96), (96, 64))):
        assert found.shape == truth.shape == (len(query), height, width)
    chance = masks.attention[0, :, :, 0, 0, 0].sigmoid()
    assert first[0][0][:, 5, 7].equal(chance[0, [3, 0]]) and first[1][0][:, 5, 7].equal(chance[1, [2]])
    assert first[1][1].equal(targets.masks[1].float())

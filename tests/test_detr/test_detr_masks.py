"""DETR's masks: the decoder against transformers, the losses written out."""
import pytest
import torch
from parity import reference

from mmparts.detr.attention_maps import AttentionMaps
from mmparts.detr.detr_masks import MaskDiceTerm, MaskFocalTerm, PyramidMaskDecoder
from mmparts.detr.structures import Matches, Memory, PredictionSet, Targets


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
    mask = torch.zeros(2, 3, 4, dtype=torch.bool)
    mask[1, :, 3] = True
    memory = Memory.from_levels([tokens], [torch.zeros_like(tokens)], [mask])
    memory.padded = (24, 32)  # that of the finest level, so that nothing is resized
    adapters = [stage.fpn_adapter for stage in reversed(head.fpn_stages)]
    memory.skips = [adapter(level) for adapter, level in zip(adapters, fine)] + [coarse]

    keep = torch.zeros(2, 1, 1, 3, 4).masked_fill(mask[:, None, None], torch.finfo(torch.float32).min)
    wanted = attention(state, tokens, keep)
    seen = maps(state, memory)
    torch.testing.assert_close(seen, wanted, atol=1e-6, rtol=1e-5)
    image, query = torch.ones(2, 5).nonzero().unbind(1)
    found = ours(seen, memory).logits(image, query)
    torch.testing.assert_close(found, head(coarse, wanted, fine[::-1])[:, 0], atol=1e-4, rtol=1e-4)


class Whole:
    """Masks that are there already."""

    def __init__(self, pairs):
        self.pairs = pairs

    def matched(self, matches, targets):
        self.matches = matches
        return self.pairs


@pytest.mark.parametrize('term, one', [
    (MaskDiceTerm, lambda found, truth: 1 - (2 * (found * truth).sum() + 1) / (found.sum() + truth.sum() + 1)),
    (MaskFocalTerm, lambda found, truth: torch.where(
        truth > 0, -0.25 * (1 - found) ** 2 * (found + 1e-6).log(),
        -0.75 * found ** 2 * (1 - found + 1e-6).log()).mean())])
def test_losses_are_sums_over_the_masks(term, one):
    """Images of unequal sizes, one without objects; the last layer's matches alone."""
    torch.manual_seed(0)
    pairs = [(torch.rand(count, *size), torch.randint(2, (count, *size)).float())
             for count, size in ((2, (4, 6)), (0, (3, 3)), (1, (5, 2)))]
    masks = Whole(pairs)
    targets = Targets(torch.zeros(3), torch.zeros(3, 4), [2, 0, 1], ['a', 'b', 'c'])
    predictions = PredictionSet('match', torch.zeros(2, 3, 4, 1), torch.zeros(2, 3, 4, 4), targets, masks=masks)
    index = torch.arange(3)
    matches = Matches(torch.tensor([0, 0, 0, 1, 1, 1]), *(torch.cat([index, index + 10]) for _ in range(3)))
    value = term(weight=2.)(predictions, matches, torch.tensor(3.))
    wanted = sum(one(found, truth) for each in pairs for found, truth in zip(*each))
    torch.testing.assert_close(value, 2 * wanted[None] / 3)
    assert masks.matches.query.tolist() == [10, 11, 12]

"""Conditional attention of DAB-DETR, against loops over single numbers, and what anchors do to it."""

import math

import pytest
import torch
from torch import nn

from mmparts.detr.boxes import sine_yxwh
from mmparts.detr.dab_detr.attention import (
    SMALLEST,
    ConditionalCrossAttention,
    ConditionalPosition,
    ConditionalSelfAttention,
)
from mmparts.detr.structures import Memory

DIMS, HEADS, QUERIES = 16, 2, 3


def random_weights(part: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in part.parameters():
        nn.init.normal_(parameter, std=0.3)
    return part.eval()


def memory(padded: bool = True) -> Memory:
    torch.manual_seed(1)
    feat, pos = torch.randn(2, DIMS, 2, 3), torch.randn(2, DIMS, 2, 3)
    keep = torch.ones(2, 2, 3, dtype=torch.bool)
    keep[1, :, 2] = False
    return Memory.from_levels([feat], [pos], [keep] if padded else None)


def queries() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(2, QUERIES, DIMS), torch.randn(2, QUERIES, 2 * DIMS)


def softmax(scores: list[float]) -> list[float]:
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


@pytest.mark.parametrize('layer', [0, 1])
def test_cross_attention_is_the_papers(layer):
    """Head by head: content with content plus spatial query with position, over the root of both widths."""
    part, tokens, (content, pos) = ConditionalCrossAttention(DIMS, HEADS, layer=layer), memory(), queries()
    random_weights(part)
    assert (part.query_pos is not None) == (layer == 0)

    width, found, maps = DIMS // HEADS, torch.zeros(2, QUERIES, DIMS), torch.zeros(2, HEADS, QUERIES, 6)
    for b in range(2):
        for n in range(QUERIES):
            place, spatial = pos[b, n, :DIMS], pos[b, n, DIMS:]
            for h in range(HEADS):
                own, scores = slice(h * width, (h + 1) * width), []
                for s in range(6):
                    query, key = part.query_content(content[b, n])[own], part.key_content(tokens.tokens[b, s])[own]
                    key_pos = part.key_pos(tokens.pos[b, s])[own]
                    if layer == 0:
                        query, key = query + part.query_pos(place)[own], key + key_pos
                    score = query @ key + part.query_spatial(spatial)[own] @ key_pos
                    scores.append(score.item() / math.sqrt(2 * width) if tokens.keep[b, s] else -math.inf)
                for s, weight in enumerate(softmax(scores)):
                    maps[b, h, n, s] = weight
                    found[b, n, own] += weight * part.value(tokens.tokens[b, s])[own]

    assert part(content, pos, None, tokens).allclose(part.out_proj(found), atol=1e-5)
    assert part.weights(content, pos, None, tokens).allclose(maps, atol=1e-5)


def test_self_attention_adds_content_and_position_after_projection():
    part, (content, pos) = random_weights(ConditionalSelfAttention(DIMS, HEADS)), queries()
    keep = torch.tensor([[True, True, False], [True, True, True], [False, False, True]])
    width, found = DIMS // HEADS, torch.zeros(2, QUERIES, DIMS)
    query = part.query_content(content) + part.query_pos(pos[..., :DIMS])
    key = part.key_content(content) + part.key_pos(pos[..., :DIMS])
    for b in range(2):
        for n in range(QUERIES):
            for h in range(HEADS):
                own = slice(h * width, (h + 1) * width)
                scores = [
                    (query[b, n, own] @ key[b, m, own]).item() / math.sqrt(width) if keep[n, m] else -math.inf
                    for m in range(QUERIES)
                ]
                for m, weight in enumerate(softmax(scores)):
                    found[b, n, own] += weight * part.value(content[b, m])[own]
    assert part(content, pos, keep).allclose(part.out_proj(found), atol=1e-5)


def position(reference: list[float], layer: int) -> tuple[ConditionalPosition, torch.Tensor, torch.Tensor]:
    """The part, its content, and the spatial query for one anchor."""
    part, content = random_weights(ConditionalPosition(DIMS)), queries()[0][:1, :1]
    return part, content, part(torch.tensor([[reference]]), None, content, layer)[0, 0, DIMS:]


@pytest.mark.parametrize('layer', [0, 3])
def test_a_spatial_query_is_stretched_by_the_anchors_size(layer):
    """Its y half by asked height over height of the anchor, its x half by asked width over width."""
    anchor = [0.3, 0.6, 0.2, 0.1]
    part, content, spatial = position(anchor, layer)
    wanted = part.size(content)[0, 0].sigmoid()
    expected = sine_yxwh(torch.tensor([[anchor]]), DIMS)[0, 0, :DIMS] * (part.scale(content)[0, 0] if layer else 1)
    assert spatial[: DIMS // 2].allclose(expected[: DIMS // 2] * wanted[1] / 0.1, rtol=1e-5)
    assert spatial[DIMS // 2 :].allclose(expected[DIMS // 2 :] * wanted[0] / 0.2, rtol=1e-5)


def test_query_positions_are_read_from_all_four_sines():
    part, content, _ = position([0.3, 0.6, 0.2, 0.1], 0)
    boxes = torch.tensor([[[0.3, 0.6, 0.2, 0.1]]])
    assert part(boxes, None, content, 0)[..., :DIMS].equal(part.net(sine_yxwh(boxes, DIMS)))


def test_the_tiniest_anchor_stays_within_float16():
    _, _, spatial = position([0.5, 0.5, 0.0, 1e-30], 0)
    assert spatial.isfinite().all() and spatial.abs().max() <= 1 / SMALLEST < torch.finfo(torch.float16).max


def test_other_positions_are_refused_with_the_way_out():
    content, pos = queries()
    for part, args in (
        (ConditionalSelfAttention(DIMS, HEADS), (None,)),
        (ConditionalCrossAttention(DIMS, HEADS), (None, memory())),
    ):
        with pytest.raises(ValueError, match='32 channels of position, got 16; .*ConditionalPosition'):
            part(content, pos[..., :DIMS], *args)

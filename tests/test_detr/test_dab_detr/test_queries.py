"""Anchor queries: which content meets which anchor, and what is learned of them."""

import pytest
import torch

from mmparts.detr.dab_detr.queries import AnchorQueries
from mmparts.detr.structures import Memory

DIMS, NUM = 8, 5


def group_of(part: AnchorQueries):
    feat = torch.zeros(2, DIMS, 2, 3)
    group, proposals = part(Memory.from_levels([feat], [feat], None), None)
    assert proposals is None and group.name == 'match' and group.pos is None
    assert group.content[0].equal(group.content[1]) and group.reference[0].equal(group.reference[1])
    return group.content[0], group.reference[0]


def test_an_anchor_is_the_sigmoid_of_its_logits():
    part = AnchorQueries(NUM, DIMS)
    content, reference = group_of(part)
    assert not content.any() and content.shape == (NUM, DIMS)
    assert reference.equal(torch.cat([part.centre, part.size], 1).sigmoid())
    reference.sum().backward()
    assert part.centre.grad.all() and part.size.grad.all()


@pytest.mark.parametrize(('content', 'rows'), [('shared', 1), ('learned', NUM)])
@pytest.mark.parametrize('indicator', [False, True])
def test_content(content, rows, indicator):
    part = AnchorQueries(NUM, DIMS, content=content, indicator=indicator)
    found, _ = group_of(part)
    assert part.content.weight.shape == (rows, DIMS - indicator)
    assert found[:, : DIMS - indicator].equal(part.content.weight.expand(NUM, -1))
    assert not found[:, DIMS - indicator :].any()


@pytest.mark.parametrize('content', ['empty', 'shared', 'learned'])
def test_every_pattern_meets_every_anchor_pattern_by_pattern(content):
    part = AnchorQueries(NUM, DIMS, content=content, num_patterns=3, indicator=True)
    found, reference = group_of(part)
    own = torch.zeros(NUM, DIMS)
    if content != 'empty':
        own[:, :-1] = part.content.weight
    for pattern in range(3):
        rows = slice(pattern * NUM, (pattern + 1) * NUM)
        assert found[rows].equal(own + part.patterns.weight[pattern])
        assert reference[rows].equal(torch.cat([part.centre, part.size], 1).sigmoid())


@pytest.mark.parametrize('centres', ['spread', 'fixed'])
def test_centres_spread_over_the_image(centres):
    torch.manual_seed(0)
    part = AnchorQueries(4000, DIMS, centres=centres)
    places = part.centre.sigmoid()
    counts = torch.histc(places, 10, 0, 1)
    assert (counts - 800).abs().max() < 120  # evenly, unlike the sigmoid of normal numbers
    learned = dict(part.named_parameters())
    assert ('centre' in learned) == (centres == 'spread') and 'size' in learned and 'centre' in part.state_dict()


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(content='zeros'), "content is one of .*got 'zeros'"),
        (dict(centres='random'), "centres is one of .*got 'random'"),
    ],
)
def test_unknown_choices(wrong, message):
    with pytest.raises(ValueError, match=message):
        AnchorQueries(NUM, DIMS, **wrong)

"""Who may look at whom, written out by hand."""

import pytest
import torch
from tiny import samples

from mmparts.detr.denoising import Denoising
from mmparts.detr.groups import visibility
from mmparts.detr.structures import QueryGroup, Targets


def group(name, size, **kwargs):
    return QueryGroup(name, torch.zeros(2, size, 8), **kwargs)


def drawing(groups) -> str:
    """A row for each query: x where it may not look."""
    return '\n'.join(''.join('x.'[cell] for cell in row) for row in visibility(groups).int())


def test_queries_alone_all_see_all():
    assert visibility([group('match', 5)]) is None


def test_blocks_of_one_group_are_mutually_invisible():
    assert drawing([group('match', 4, blocks=2)]) == '..xx\n..xx\nxx..\nxx..'


def test_hybrid_groups_are_mutually_invisible():
    assert drawing([group('match', 2), group('o2m', 3)]) == '..xxx\n..xxx\nxx...\nxx...\nxx...'


def test_looking_is_one_directional():
    assert drawing([group('match', 2), group('dn', 4, blocks=2, see=('match',))]) == '\n'.join(
        ('..xxxx', '..xxxx', '....xx', '....xx', '..xx..', '..xx..')
    )


def test_three_groups():
    groups = [group('match', 1), group('dn', 2, blocks=2, see=('match',)), group('o2m', 2, see=('dn',))]
    assert drawing(groups) == '\n'.join(('.xxxx', '..xxx', '.x.xx', 'x....', 'x....'))


def test_halves_of_a_contrastive_copy_see_each_other():
    match = QueryGroup('match', torch.zeros(2, 1, 8))
    targets = Targets.from_samples(samples(counts=(1, 0)))
    noised = Denoising(num_classes=80, embed_dims=8, copies=2, contrastive=True)(match, None, targets)
    assert drawing([match, noised]) == '\n'.join(
        (
            '.xxxx',
            '...xx',  # positive of copy 0
            '...xx',  # negative of copy 0
            '.xx..',
            '.xx..',
        )
    )


def test_a_group_without_queries_blocks_nothing():
    assert visibility([group('match', 3), group('dn', 0, blocks=100, see=('match',))]).all()


def test_names_must_tell_groups_apart():
    with pytest.raises(ValueError, match="'dn'"):
        visibility([group('match', 2), group('dn', 2), group('dn', 2)])


def test_a_group_that_is_looked_at_must_exist():
    with pytest.raises(ValueError, match="'dn'.*'mtch'.*'match'"):
        visibility([group('match', 2), group('dn', 2, see=('mtch',))])

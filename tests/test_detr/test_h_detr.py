"""The hybrid branch of H-DETR: where its queries come from, that it runs on its own, and what it is trained on."""

import pytest
import torch
from tiny import base, batch, build, total, without_gradient

from mmparts.detr.groups import isolated, visibility
from mmparts.detr.structures import QueryGroup, Run, Targets

PLAIN = dict(
    queries=dict(mixed_selection=False), decoder=dict(reference_update=dict(type='mmparts.IterativeRefinement'))
)
CASES = {
    'tricks': ('h_detr_r50', {}),
    'plain': ('h_detr_r50', PLAIN),
    'DINO': ('dino_r50', dict(groups=[dict(type='mmparts.OneToMany', num=10)])),
    'DINO, denoising': (
        'dino_r50',
        dict(groups=[dict(type='mmparts.OneToMany', num=10), dict(type='mmparts.Denoising', num=10)]),
    ),
}
every = pytest.mark.parametrize('case', CASES)


def detector(case: str, **changes):
    name, own = CASES[case]
    return build(base(name, **own, **changes)).train()


def groups_of(model, data) -> tuple:
    """Memory, and the groups of a training step."""
    torch.manual_seed(0)
    memory = model.encode(data['inputs'], data['data_samples'])
    match, _ = model.queries(memory, model.head)
    targets = Targets.from_samples(data['data_samples'])
    return memory, [match, *(group(match, memory, targets) for group in model.groups)]


@every
@pytest.mark.parametrize('embed_dims', [32, 256])
def test_matching_queries_are_the_same_with_and_without(case, embed_dims):
    """To the last bit where they attend alone; but a wide matrix product rounds by how many rows it has."""
    model = detector(case, embed_dims=embed_dims)
    with torch.no_grad():
        memory, groups = groups_of(model, batch(model))
        alone, together = model.decode(groups[:1], memory), model.decode(groups, memory)
    exactly = len(isolated(groups)) == len(groups) and embed_dims == 32
    for name, numbers in alone.items():
        difference = (together[name][:, :, : groups[0].size] - numbers).abs().max()
        assert difference <= (0 if exactly else 5e-6)


@every
def test_matching_queries_do_not_notice_what_the_others_are(case):
    """To the last bit."""
    model = detector(case, embed_dims=256)
    with torch.no_grad():
        memory, groups = groups_of(model, batch(model))
        before = model.decode(groups, memory)
        for other in groups[1:]:
            other.content, other.reference = torch.randn_like(other.content), torch.rand_like(other.reference)
        after = model.decode(groups, memory)
    own = groups[0].size
    assert all(after[name][:, :, :own].equal(before[name][:, :, :own]) for name in before)
    assert not any(after[name][:, :, own:].equal(before[name][:, :, own:]) for name in before)


@every
def test_two_calls_are_one_masked_call(case):
    model = detector(case)
    with torch.no_grad():
        memory, groups = groups_of(model, batch(model))
        apart = model.decode(groups, memory)
        masked = model.head(
            *model.decoder(groups, memory, [Run(sum(group.size for group in groups), visibility(groups))], model.head)
        )
        free = model.head(*model.decoder(groups, memory, [Run(sum(group.size for group in groups))], model.head))
    for name, numbers in apart.items():
        assert numbers.allclose(masked[name], atol=1e-5)
        assert not numbers.allclose(free[name], atol=1e-5)


def group(name: str, size: int = 2, **kwargs) -> QueryGroup:
    return QueryGroup(name, torch.zeros(1, size, 4), **kwargs)


@pytest.mark.parametrize(
    ('groups', 'runs'),
    [
        ([group('match', 3)], [(3, False)]),
        ([group('match', 3), group('o2m', 5)], [(3, False), (5, False)]),
        ([group('match', 3), group('dn', see=('match',)), group('o2m', 5)], [(5, True), (5, False)]),
        ([group('match', 3), group('o2m', 5), group('dn', see=('match',))], [(10, True)]),
        ([group('match', 3, see=('dn',)), group('dn')], [(5, True)]),
        ([group('match', 3), group('patch', 4, blocks=2), group('o2m', 5)], [(3, False), (4, True), (5, False)]),
    ],
)
def test_who_attends_alone(groups, runs):
    """Neighbours that look at each other, or past each other, share one masked attention."""
    assert [(run.size, run.keep is not None) for run in isolated(groups)] == runs


@pytest.mark.parametrize('changes', [{}, PLAIN], ids=['tricks', 'plain'])
def test_queries_are_the_next_best_proposals(changes):
    """Those of a detector with more matching queries, cut in two."""
    model, whole = (
        build(base('h_detr_r50', **changes, **more)).train() for more in ({}, dict(num_queries=30, groups=[]))
    )
    whole.load_state_dict(
        {
            name: tensor
            for name, tensor in model.state_dict().items()
            if name != 'queries.content.weight' and not name.startswith('groups.')
        },
        strict=False,
    )
    if not changes:
        whole.queries.content.weight.data = torch.cat([model.queries.content.weight, model.groups[0].content.weight])
    data = batch(model)
    with torch.no_grad():
        _, (match, more) = groups_of(model, data)
        _, (expected,) = groups_of(whole, data)
    assert (match.size, more.size) == (20, 10)
    for part in ('content', 'reference', 'pos'):
        found = torch.cat([getattr(match, part), getattr(more, part)], dim=1)
        assert found.allclose(getattr(expected, part), atol=1e-6)


def test_references_are_cut_from_the_graph_and_positions_are_not():
    model = detector('plain')
    _, (_, more) = groups_of(model, batch(model))
    assert not more.reference.requires_grad and more.pos.requires_grad and more.content.requires_grad


def test_every_object_is_matched_six_times():
    model = detector('tricks')
    _, groups = groups_of(model, batch(model, counts=(1, 0)))
    assert groups[1].repeat == groups[1].copies == 6 and groups[0].copies == 1


def test_losses_are_weighed():
    data, losses = batch(detector('tricks')), []
    for weight in (1.0, 0.5):
        model = detector('tricks', groups=[dict(type='mmparts.OneToMany', num=10, weight=weight)])
        with torch.no_grad():
            losses.append(model(**data, mode='loss'))
    assert all(losses[1][name].allclose((0.5 if 'o2m' in name else 1) * value) for name, value in losses[0].items())
    assert sum('o2m' in name for name in losses[0]) == 6


@every
@pytest.mark.parametrize('counts', [(0, 0), (300, 2)], ids=['none', 'many'])
def test_any_number_of_objects(case, counts):
    model = detector(case)
    losses = model(**batch(model, counts=counts), mode='loss')
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert not without_gradient(model)


@pytest.mark.parametrize(('num_queries', 'left'), [(1000, 0), (60, 10)])
def test_fewer_tokens_than_queries(num_queries, left):
    """All that are left, which may be none."""
    model = detector('tricks', num_queries=num_queries)
    data = batch(model)
    assert groups_of(model, data)[1][1].size == left
    losses = model(**data, mode='loss')
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert not without_gradient(model)


@pytest.mark.parametrize('name', ['deformable_detr_r50', 'detr_r50'])
def test_a_source_that_ranks_nothing_is_refused_when_it_is_built(name):
    with pytest.raises(ValueError, match='takes the next-best proposals, and .*Queries ranks none; take TopKQueries'):
        build(base(name, groups=[dict(type='mmparts.OneToMany', num=10)]))


def test_look_forward_twice_changes_no_output():
    """Only what the boxes train: the main branch is that of refinement."""
    found = []
    for rule in ('LookForwardTwice', 'IterativeRefinement'):
        model = detector('tricks', decoder=dict(reference_update=dict(type=f'mmparts.{rule}'))).eval()
        with torch.no_grad():
            found.append(model(**batch(model), mode='tensor'))
    assert all(found[0][name].equal(found[1][name]) for name in found[0])

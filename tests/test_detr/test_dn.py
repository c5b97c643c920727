"""What DN-DETR adds to plain denoising: indicator, normaliser, names; on DAB-DETR and on Deformable DETR."""

import pytest
import torch
from tiny import (
    CONFIGS,
    assert_comes_back,
    at_own_size,
    base,
    batch,
    build,
    samples,
    total,
    unmoved_by_two_steps,
    without_gradient,
)

from mmparts.detr import head as head_module
from mmparts.detr.denoising import Denoising
from mmparts.detr.groups import visibility
from mmparts.detr.structures import QueryGroup, Targets

DN = ['dn_detr_r50', 'dn_deformable_detr_r50']
SMALL = sorted(
    str(path.relative_to(CONFIGS))
    for folder in ('dab_detr', 'dn_detr')
    for path in (CONFIGS / folder).glob('*_small_*.py')
)


def drawing(groups) -> str:
    """A row for each query: x where it may not look."""
    return '\n'.join(''.join('x.'[cell] for cell in row) for row in visibility(groups).int())


def noised(counts=(2, 1), name='dn', **kwargs) -> QueryGroup:
    torch.manual_seed(0)
    part = Denoising(num_classes=80, embed_dims=8, contrastive=False, name=name, **kwargs)
    match = QueryGroup('match', torch.zeros(len(counts), 2, 8), torch.full((len(counts), 2, 4), 0.5))
    return part(match, None, Targets.from_samples(samples(counts=counts)))


def test_visibility_of_two_copies_of_two_objects():
    """The image with one object has the same mask: its empty slots are looked at, as in the official code."""
    match = QueryGroup('match', torch.zeros(2, 2, 8))
    assert drawing([match, noised(copies=2)]) == '\n'.join(('..xxxx', '..xxxx', '....xx', '....xx', '..xx..', '..xx..'))


def test_two_groups_live_in_one_detector():
    first, second = noised(copies=1), noised(copies=1, name='dn_wild')
    assert drawing([QueryGroup('match', torch.zeros(2, 1, 8)), first, second]) == '\n'.join(
        ('.xxxx', '...xx', '...xx', '.xx..', '.xx..')
    )

    wild = dict(type='mmparts.Denoising', name='dn_wild', box_noise=0.8, contrastive=False, indicator=True)
    model = build(base('dn_detr_r50', groups=[*base('dn_detr_r50').groups, wild])).train()
    losses = model(**batch(model), mode='loss')
    assert {'dn_loss_cls', 'd0.dn_loss_bbox', 'dn_wild_loss_cls', 'd0.dn_wild_loss_bbox'} <= set(losses)
    total(losses).backward()
    assert not without_gradient(model)


def test_the_indicator_tells_noised_objects_from_all_else():
    group = noised(copies=2, indicator=True)
    occupied = torch.zeros(2, 4)
    occupied[0, :] = occupied[1, [0, 2]] = 1
    assert group.content[..., -1].equal(occupied)
    assert not group.content[1, [1, 3]].any() and (group.reference[1, [1, 3]] == 0.5).all()
    model = build(base('dn_detr_r50')).eval()
    memory = model.encode(batch_inputs=(data := batch(model))['inputs'], samples=data['data_samples'])
    match, _ = model.queries(memory, model.head)
    assert match.content[..., :-1].any() and not match.content[..., -1].any()


@pytest.mark.parametrize('spare_row', [True, False])
def test_the_table_of_labels(spare_row):
    part = Denoising(num_classes=80, embed_dims=8, indicator=True, spare_row=spare_row)
    assert part.label_embed.weight.shape == (80 + spare_row, 7)


@pytest.mark.parametrize('local_norm', [True, False])
def test_losses_are_divided_by_known_slots(local_norm, monkeypatch):
    """Those of this process: what others have, here three times as much, changes the matching losses only."""
    group = dict(type='mmparts.Denoising', copies=3, contrastive=False, indicator=True, local_norm=local_norm)
    model = build(base('dn_detr_r50', groups=[group])).train()
    data = batch(model, counts=(3, 1))

    def losses():
        torch.manual_seed(0)
        return model(**data, mode='loss')

    alone = losses()
    monkeypatch.setattr(head_module, 'reduce_mean', lambda number: number * 3)
    among = losses()
    for name, value in alone.items():
        shared = not (local_norm and 'dn_' in name)
        assert among[name].item() == pytest.approx(value.item() / (3 if shared else 1), rel=1e-5), name


def test_a_loss_is_the_mean_over_known_slots():
    """The box loss, written out for one image of three objects and five copies."""
    model = build(
        base(
            'dn_detr_r50',
            groups=[
                dict(type='mmparts.Denoising', copies=5, num=100, contrastive=False, indicator=True, local_norm=True)
            ],
        )
    ).train()
    data = batch(model, counts=(3, 0))
    targets = Targets.from_samples(data['data_samples'])
    memory = model.encode(data['inputs'], data['data_samples'])
    match, _ = model.queries(memory, model.head)
    group = model.groups[0](match, memory, targets)
    predictions = model.decode([match, group], memory)
    losses = model.head.loss(predictions, [match, group], None, targets)

    boxes = predictions['boxes'][-1, 0, match.size :].view(5, 3, 4)
    distance = sum((boxes[copy, slot] - targets.boxes[slot]).abs().sum() for copy in range(5) for slot in range(3))
    assert losses['dn_loss_bbox'].item() == pytest.approx(5 * distance.item() / 15, rel=1e-5)


@pytest.mark.parametrize('name', DN)
@pytest.mark.parametrize('counts', [(300, 2), (0, 3)], ids=['many objects', 'none in one image'])
def test_any_number_of_objects(name, counts):
    model = build(base(name)).train()
    model.groups[0].num, model.groups[0].copies = 500, 5
    losses = model(**batch(model, counts=counts), mode='loss')
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert not without_gradient(model)


def test_the_budget_bounds_the_copies():
    assert noised((8, 0), num=500, copies=5).blocks == 5
    assert noised((200, 0), num=500, copies=5).blocks == 2
    assert noised((300, 0), num=500, copies=5).blocks == 1


@pytest.mark.parametrize('name', SMALL)
def test_small_configs_train_predict_and_come_back(name, tmp_path):
    """At their own size: a step moves every parameter, and saved weights predict the same in a fresh model."""
    torch.manual_seed(0)
    model = at_own_size(name).train()
    data = batch(model, counts=(3, 2))
    # Where all queries start with the content 0, what the first layer makes of it has nothing to learn from.
    idle = {f'decoder.layers.0.self_attn.{part}.weight' for part in ('query_content', 'key_content', 'value')}
    assert unmoved_by_two_steps(model, data) == (idle if name == 'dab_detr/dab-detr_small_1xb8-9e_shapes.py' else set())
    assert_comes_back(model, at_own_size(name), data, tmp_path / 'weights.pth')

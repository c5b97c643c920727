"""The whole detector: what must hold whatever its weights are."""

import pytest
import torch
from tiny import base, batch, build, total, without_gradient

from mmparts.detr.roles import GroupSource
from mmparts.detr.structures import QueryGroup, Targets

NAMES = [
    'detr_r50',
    'deformable_detr_r50',
    'deformable_detr_singlescale_r50',
    'deformable_detr_refine_r50',
    'deformable_detr_refine_twostage_r50',
    'dab_detr_r50',
    'dab_deformable_detr_r50',
    'dn_detr_r50',
    'dn_deformable_detr_r50',
    'dino_r50',
]
every = pytest.mark.parametrize('name', NAMES)
PLAIN = dict(type='mmparts.Denoising', num=10, box_noise=0.4, contrastive=False)
CONTRASTIVE = dict(type='mmparts.Denoising', num=10, contrastive=True)
STILL = dict(encoder=dict(dropout=0.0), decoder=dict(dropout=0.0))  # nothing random but the noise of denoising


class OneToMany(GroupSource):
    """An extra group of matched queries, in two blocks, that sees nobody."""

    def __init__(self, embed_dims: int):
        super().__init__()
        self.content = torch.nn.Parameter(torch.randn(6, embed_dims))
        self.reference = torch.nn.Parameter(torch.randn(6, 4))

    def forward(self, match, memory, targets):
        batch = len(match.content)
        return QueryGroup(
            'o2m',
            self.content.expand(batch, -1, -1),
            self.reference.sigmoid().expand(batch, -1, -1),
            repeat=2,
            blocks=2,
        )


def losses_of(model, data, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    return model(**data, mode='loss')


def close(first: dict, second: dict, **tolerance) -> bool:
    assert set(first) == set(second)
    return all(first[name].allclose(second[name], **tolerance) for name in first)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(
    'groups',
    [[PLAIN], [CONTRASTIVE], [dict(type=OneToMany)], [CONTRASTIVE, dict(type=OneToMany)]],
    ids=['plain', 'contrastive', 'one-to-many', 'both'],
)
def test_extra_groups_leave_the_matching_queries_alone(groups, training):
    model = build(base('dino_r50', groups=groups, **STILL)).train(training)
    data = batch(model)
    with torch.no_grad():
        raw = model(**data, mode='tensor')
        losses = losses_of(model, data)
        extra, model.groups = model.groups, torch.nn.ModuleList()
        without = losses_of(model, data)
        raw_without = model(**data, mode='tensor')
    assert len(extra) == len(groups) and len(losses) == len(without) + 6 * len(groups)
    assert close({name: losses[name] for name in without}, without, rtol=1e-4)
    assert raw['logits'].equal(raw_without['logits']) and raw['boxes'].equal(raw_without['boxes'])


@pytest.mark.parametrize('group', [PLAIN, CONTRASTIVE], ids=['plain', 'contrastive'])
def test_copies_look_at_the_matching_queries_and_not_at_each_other(group):
    model = build(base('dino_r50', groups=[group], **STILL)).train()
    data = batch(model)
    with torch.no_grad():
        memory = model.encode(data['inputs'], data['data_samples'])
        match, _ = model.queries(memory, model.head)
        copies = model.groups[0](match, memory, Targets.from_samples(data['data_samples']))
        assert copies.blocks == 3
        before = model.decode([match, copies], memory)['boxes']

        size = copies.size // copies.blocks
        copies.content = copies.content.clone()
        copies.content[:, :size] += torch.randn_like(copies.content[:, :size])
        changed = (model.decode([match, copies], memory)['boxes'] - before).abs().amax((0, 1, 3)) > 1e-6
        assert changed[match.size : match.size + size].all()
        assert not changed[: match.size].any() and not changed[match.size + size :].any()

        match.content = match.content + torch.randn_like(match.content)
        changed = (model.decode([match, copies], memory)['boxes'] - before).abs().amax((0, 1, 3)) > 1e-6
        assert changed.all()


def test_a_group_without_positions_derives_them_from_its_own_references():
    decoder = dict(num_layers=1, position=dict(type='mmparts.BoxPosition'))
    model = build(base('deformable_detr_refine_twostage_r50', groups=[CONTRASTIVE], decoder=decoder)).eval()
    data = batch(model)
    with torch.no_grad():
        memory = model.encode(data['inputs'], data['data_samples'])
        match, _ = model.queries(memory, model.head)
        copies = model.groups[0](match, memory, Targets.from_samples(data['data_samples']))
        assert match.pos is not None and copies.pos is None
        derived = model.decode([match, copies], memory)
        copies.pos = model.decoder.position(copies.reference, memory)
        assert model.decode([match, copies], memory)['boxes'].allclose(derived['boxes'], atol=1e-6)


@every
def test_the_order_of_objects_does_not_matter(name):
    model = build(base(name, groups=[], **STILL)).train()
    data = batch(model, counts=(5, 3))
    with torch.no_grad():
        before = losses_of(model, data)
        for sample in data['data_samples']:
            sample.gt_instances = sample.gt_instances[torch.randperm(len(sample.gt_instances))]
        after = losses_of(model, data)
    assert close(before, after, rtol=1e-5)


@every
@pytest.mark.parametrize('counts', [(0, 0), (3, 0)], ids=['no objects', 'one image without'])
def test_every_parameter_gets_a_gradient(name, counts):
    model = build(base(name)).train()
    losses = losses_of(model, batch(model, counts=counts))
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert not without_gradient(model)
    if not any(counts):
        assert all(value == 0 for key, value in losses.items() if 'cls' not in key)
        assert all(value > 0 for key, value in losses.items() if 'loss_cls' in key and 'dn' not in key)


@pytest.mark.parametrize('group', [PLAIN, CONTRASTIVE], ids=['plain', 'contrastive'])
@pytest.mark.parametrize('counts', [(0, 0), (300, 2)], ids=['none', 'many'])
def test_any_number_of_objects(group, counts):
    """300 objects are more than the budget of denoising and more than there are queries."""
    model = build(base('dino_r50', groups=[{**group, 'num': 100}])).train()
    losses = losses_of(model, batch(model, counts=counts))
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert not without_gradient(model)


@pytest.mark.parametrize('name', ['deformable_detr_refine_twostage_r50', 'dino_r50'])
def test_more_queries_than_tokens(name):
    model = build(base(name, num_queries=1000)).train()
    data = batch(model)
    losses = losses_of(model, data)
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert not without_gradient(model)
    with torch.no_grad():
        tokens = model.encode(data['inputs'], data['data_samples']).tokens.shape[1]
        assert model.eval()(**data, mode='tensor')['boxes'].shape == (2, 2, tokens, 4)
        assert all(sample.pred_instances.bboxes.isfinite().all() for sample in model(**data, mode='predict'))


@pytest.mark.parametrize('name', ['detr_r50', 'dino_r50'])
def test_gradient_checkpointing_changes_nothing(name):
    """With dropout: what is recomputed must draw the same numbers."""
    found = []
    for with_cp in (False, True):
        changes = {part: dict(dropout=0.1, with_cp=with_cp) for part in ('encoder', 'decoder')}
        model = build(base(name, **changes)).train()
        runs = []
        for layer in (model.encoder.layers[0], model.decoder.layers[0]):
            layer.register_forward_pre_hook(lambda *args, runs=runs: runs.append(1))
        losses = losses_of(model, batch(model))
        total(losses).backward()
        assert len(runs) == (4 if with_cp else 2)  # the backward pass runs each layer again
        found.append(
            (losses, {key: parameter.grad for key, parameter in model.named_parameters() if parameter.requires_grad})
        )
    assert close(found[0][0], found[1][0], rtol=1e-6)
    assert close(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)


@every
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(name, dtype):
    model = build(base(name, **STILL)).train()
    data = batch(model, seed=1)  # rounding chooses the same tokens in these images
    with torch.autocast('cpu', dtype):
        losses = losses_of(model, data)
        total(losses).backward()
        memory = queries_and_memory(model, data)[1]
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())
    assert not without_gradient(model)

    queries, full_memory = queries_and_memory(model, data)
    full = model.decode(queries, full_memory)
    with torch.autocast('cpu', dtype):
        mixed = model.decode(queries, memory)  # the same queries: which tokens are chosen may hang on the last bit
    assert total(losses).item() == pytest.approx(total(losses_of(model, data)).item(), rel=0.05)
    assert mixed['boxes'].dtype == mixed['logits'].dtype == torch.float32
    assert (mixed['boxes'] - full['boxes']).abs().max() < 0.02


def queries_and_memory(model, data):
    with torch.no_grad():
        memory = model.encode(data['inputs'], data['data_samples'])
        return [model.queries(memory, model.head)[0]], memory


def test_images_without_data_samples_are_taken_as_whole():
    model = build(base('dino_r50')).eval()
    data = batch(model, sizes=((64, 96), (64, 96)))
    with torch.no_grad():
        given, whole = model(**data, mode='tensor'), model(data['inputs'], mode='tensor')
    assert given['boxes'].equal(whole['boxes'])


def test_shared_numbers_are_written_once():
    model = build(base('dino_r50', num_classes=7, num_queries=11, embed_dims=64, logit_eps=1e-2)).eval()
    assert model.queries.content.weight.shape == (11, 64)
    assert model.queries.class_branch.out_features == model.head.class_branch(0).out_features == 7
    assert model.groups[0].label_embed.num_embeddings == 8
    assert model.decoder.logit_eps == model.head.box_branches.logit_eps == model.groups[0].logit_eps == 1e-2


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('dino_r50', dict(decoder=dict(num_heads=5)), 'embed_dims 32 is not a multiple of num_heads 5'),
        ('dino_r50', dict(encoder=dict(num_heads=5)), 'embed_dims 32 is not a multiple of num_heads 5'),
        ('dino_r50', dict(num_levels=2), 'num_levels=2'),
    ],
)
def test_numbers_that_do_not_go_together(name, changes, message):
    with pytest.raises(ValueError, match=message):
        build(base(name, **changes))

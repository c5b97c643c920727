"""Roles: every part derives from the base of its role, a misspelt word is refused, a user's subclass gets the shared
numbers, and own heads and branches are a few lines."""

import pytest
import torch
from mmengine.config import ConfigDict
from tiny import base, batch, build, total, without_gradient
from torch import nn

import mmparts.detr  # noqa: F401  registers the parts
from mmparts.detr import roles
from mmparts.detr.attention import DenseCrossAttention
from mmparts.detr.branches import ClassBranch, States
from mmparts.detr.compatibility import those
from mmparts.detr.head import SetPredictionHead
from mmparts.detr.roles import Branch, LossTerm, QuerySource, Role
from mmparts.detr.terms import per_layer
from mmparts.registry import MODELS, TASK_UTILS, resolve

# What has no role in a detector: backbones, detectors, and what stands within a part.
INNER = {
    'QueryDetector',
    'MaskDINO',
    'PretextDetector',
    'CellBackbone',
    'GreyPreprocessor',
    'ChannelPreprocessor',
    'LearnedPositions',
    'PatchPrompt',
    'AnchorCollaborator',
    'PointCollaborator',
    'RegionCollaborator',
    'PyramidMaskDecoder',
    'CellMaskDecoder',
    'SkipBlock',
    'AdaptiveBlock',
    'JointOutput',
    'SeparateOutput',
    'PadeUnit',
    'ModulatedDeformConv',
}


def test_every_part_derives_from_the_base_of_its_role():
    kinds = [kind for registry in (MODELS, TASK_UTILS) for kind in registry.module_dict.values()]
    ours = [kind for kind in kinds if isinstance(kind, type) and kind.__module__.startswith('mmparts.detr.')]
    without = {kind.__name__ for kind in ours if not issubclass(kind, Role)}
    assert without == INNER
    assert len(ours) > 60


@pytest.mark.parametrize(
    ('role', 'word', 'meant'),
    [
        (roles.EncoderRole, 'givs', 'gives'),
        (roles.QuerySource, 'cordinates', 'coordinates'),
        (roles.GroupSource, 'bring_positions', 'brings_positions'),
        (roles.SelfAttention, 'postion_width', 'position_width'),
        (roles.CrossAttention, 'need_reference', 'needs_reference'),
        (roles.PositionSource, 'positon_width', 'position_width'),
        (roles.SpatialPrior, 'give_reference', 'gives_reference'),
        (roles.DecoderRole, 'num_layer', 'num_layers'),
        (roles.HeadRole, 'noobject', 'no_object'),
        (roles.Branch, 'predict', 'predicts'),
        (roles.LossTerm, 'read', 'reads'),
        (roles.MatchCost, 'noobject', 'no_object'),
        (roles.Matcher, 'read', 'reads'),
        (roles.Selection, 'read', 'reads'),
        (roles.MapOfMasks, 'fields', 'field'),
        (roles.MaskNeck, 'num_skip', 'num_skips'),
        (DenseCrossAttention, 'compare', 'compares'),
    ],
)
def test_a_misspelt_word_is_refused_where_it_is_written(role, word, meant):
    with pytest.raises(TypeError, match=f'Mine sets `{word}`, which no role .* Did you mean `{meant}`'):
        type('Mine', (role,), {word: 1})


def test_words_of_ones_own_are_declared_and_methods_are_no_words():
    class Mine(QuerySource):
        __slots__ = ()
        favourite: int = 3
        _hidden = 4

        def forward(self, memory, head): ...

        @property
        def mine(self): ...

        @staticmethod
        def tiny(cfg): ...

    assert Mine.favourite == 3 and Mine.copies == 1
    with pytest.raises(TypeError, match='declared by an annotation, as in `favourite: int = 3`'):
        type('Other', (QuerySource,), {'favourite': 3})


def test_parts_without_a_role_are_refused():
    class Bare(nn.Module):
        def __init__(self, embed_dims):
            super().__init__()

    with pytest.raises(TypeError, match=r'model.queries is a Bare, which does not derive from .*roles.QuerySource'):
        build(base('detr_r50', queries=dict(_delete_=True, type=Bare)))
    with pytest.raises(TypeError, match=r'decoder.cross_attn is a Bare, .* mmparts.detr.roles.CrossAttention'):
        build(base('detr_r50', decoder=dict(cross_attn=dict(_delete_=True, type=Bare))))


def test_messages_list_what_is_registered():
    assert those(Branch, lambda kind: 'maps' in kind.predicts) == 'AttentionMaskBranch or CellMaskBranch'
    assert those(roles.MapOfMasks) == 'PanopticMap or SemanticMap'
    assert those(roles.MaskNeck, lambda kind: kind.num_pixel_levels) == 'PixelMapper'


def own(kind: type) -> type:
    """A user's subclass."""

    class Own(kind):
        def __init__(self, mine: int = 1, **kwargs):
            super().__init__(**kwargs)
            self.mine = mine

    Own.__name__ = f'Own{kind.__name__}'
    return Own


def owned(cfg, found: set):
    """The same config, of subclasses of all parts that have a role."""
    if isinstance(cfg, (list, tuple)):
        return [owned(each, found) for each in cfg]
    if not isinstance(cfg, dict):
        return cfg
    cfg = ConfigDict({key: owned(value, found) for key, value in cfg.items()})
    for registry in (MODELS, TASK_UTILS) if str(cfg.get('type', '')).startswith('mmparts.') else ():
        try:
            kind = resolve(cfg, registry)
        except KeyError:
            continue
        if issubclass(kind, Role) and hasattr(kind, '__init__') and kind.__init__ is not object.__init__:
            found.update(base for base in kind.__mro__ if base.__module__ == roles.__name__)
            cfg.type = own(kind)
    return cfg


ALL_ROLES: set[type] = set()


@pytest.mark.parametrize(
    'name',
    [
        'mask_dino_r50',
        'co_dino_r50',
        'h_detr_r50',
        'smca_detr_multiscale_r50',
        'dn_detr_deformable_encoder_r50',
        'cell_detr_b',
        'detr_masks_r50',
        'up_detr_pretrain_r50',
    ],
)
def test_subclasses_with_kwargs_get_the_shared_numbers(name):
    """Every part of the model is a user's subclass, of other numbers than the defaults; what is built is the same."""
    cfg = base(name, num_classes=2)
    cfg.decoder.setdefault('self_attn', dict(type='mmparts.DenseSelfAttention'))
    cfg.decoder.setdefault('reference_update', dict(type='mmparts.FixedReference'))
    plain = build(cfg)
    model = build(owned(cfg, ALL_ROLES)).train()
    assert type(model.head).__name__.startswith('Own') and model.head.num_classes == 2 and model.encoder.mine == 1
    shapes = [{key: value.shape for key, value in each.state_dict().items()} for each in (plain, model)]
    assert shapes[0] == shapes[1]
    total(model(**batch(model, counts=(2, 2)), mode='loss')).backward()
    assert not without_gradient(model)


def test_that_was_every_role():
    """Of those whose parts have numbers at all."""
    if len(ALL_ROLES) < 3:
        pytest.skip('run with the tests above')
    kinds = [kind for kind in vars(roles).values() if isinstance(kind, type) and issubclass(kind, Role)]
    assert set(kinds) - ALL_ROLES <= {roles.ReferenceUpdate, roles.MapOfMasks}


class TenLines(SetPredictionHead):
    """A user's head: logits have a temperature of their own."""

    def __init__(self, temperature: float = 2.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = nn.Parameter(torch.tensor(temperature))

    def forward(self, hidden, references, memory=None):
        found = super().forward(hidden, references, memory)
        return dict(found, logits=found['logits'] / self.temperature)


def test_a_head_of_ten_lines_trains():
    model = build(base('deformable_detr_r50', num_classes=3, head=dict(type=TenLines))).train()
    assert model.head.num_classes == 3 and model.head.num_layers == model.decoder.num_layers == 2
    data = batch(model, sizes=((64, 64), (64, 64)), counts=(2, 1))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        loss = total(model(**data, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0] and model.head.temperature != 2.0


class AngleBranch(Branch):
    """A user's branch: one angle of every query."""

    name = 'angle_branch'
    predicts = ('angles',)

    def __init__(self, embed_dims: int = 256):
        super().__init__()
        self.net = nn.Linear(embed_dims, 1)

    def forward(self, states: States, references, memory):
        return dict(angles=torch.stack([self.net(state) for state in states.hidden]))

    def report(self, predictions, image, query, sample, rescale):
        return dict(angles=predictions['angles'][-1, image, query, 0])


class AngleTerm(LossTerm):
    """All objects lie flat."""

    name = 'loss_angle'
    reads = ('angles',)

    def forward(self, predictions, matches, num_boxes):
        squares = predictions['angles'][matches.where].squeeze(-1).square()
        return self.weight * per_layer(squares, matches.layer, len(predictions.logits)) / num_boxes


@pytest.mark.parametrize('name', ['dino_r50', 'mask_dino_r50', 'detr_masks_r50'])
def test_a_branch_of_ones_own_is_one_class(name):
    """Beside classes and boxes, and beside masks; proposals are made of classes and boxes, or of all."""
    cfg = base(name, head=dict(branches=dict(angles=dict(type=AngleBranch))))
    cfg.head.terms.append(dict(type=AngleTerm))
    if name == 'dino_r50':
        with pytest.raises(ValueError, match='AngleTerm reads angles, also of what TopKQueries proposes'):
            build(cfg)
        cfg.head.terms.pop()
    model = build(cfg).train()
    assert model.head.angle_branch.net.in_features == 32
    losses = model(**batch(model), mode='loss')
    assert name == 'dino_r50' or {'loss_angle', 'd0.loss_angle'} <= losses.keys()
    assert name != 'mask_dino_r50' or {'enc_loss_angle', 'dn_loss_angle'} <= losses.keys()
    with torch.no_grad():
        results = model.eval()(**batch(model), mode='predict')
    for found in (each.pred_instances for each in results):
        assert len(found.angles) == len(found.scores) == len(found.bboxes) > 0


class Words(nn.Module):
    """As a tower of text would be: products with one vector a class."""

    def __init__(self, num_classes: int, embed_dims: int):
        super().__init__()
        self.register_buffer('words', torch.randn(num_classes, embed_dims))

    def forward(self, state):
        return state @ self.words.T


class WordBranch(ClassBranch):
    def __init__(self, num_classes: int = 80, embed_dims: int = 256):
        nn.ModuleList.__init__(self, [Words(num_classes, embed_dims)])


@pytest.mark.parametrize('name', ['deformable_detr_r50', 'mask_dino_r50'])
def test_another_class_branch_is_one_entry(name):
    model = build(base(name, num_classes=3, head=dict(branches=dict(classes=dict(type=WordBranch))))).train()
    assert model.head.class_branch(1).words.shape == (3, 32)
    total(model(**batch(model), mode='loss')).backward()
    assert not without_gradient(model)


def test_branches_as_a_list_are_all_of_them():
    named, listed = (
        build(base('mask_dino_r50', head=dict(branches=branches)))
        for branches in (
            dict(masks=dict(type='mmparts.MaskBranch')),
            [dict(type=f'mmparts.{name}Branch') for name in ('Class', 'Box', 'Mask')],
        )
    )
    assert list(named.state_dict()) == list(listed.state_dict())


@pytest.mark.parametrize(
    ('branches', 'message'),
    [
        ([dict(type='mmparts.ClassBranch')], r"the branches predict \['logits'\]; there should be .*mmparts.BoxBranch"),
        (2 * [dict(type='mmparts.ClassBranch')], "two branches are named 'class_branches', ClassBranch is the second"),
        ([dict(type='mmparts.EllipseMaskBranch')], r"EllipseMaskBranch reads \['boxes'\], which no branch before it"),
        (dict(embeddings=dict(type='mmparts.EmbeddingBranch')), 'does not know the channels of the descriptors'),
    ],
)
def test_branches_that_make_no_head(branches, message):
    with pytest.raises(ValueError, match=message):
        build(base('detr_r50', head=dict(branches=branches)))


def test_what_enters_the_first_layer_is_read_by_any_head():
    """Its boxes are its references, its classes those of the first layer's branch."""
    changes = dict(decoder=dict(type='mmparts.InitialPredictionDecoder'), head=dict(share_branches=False))
    model = build(base('dino_r50', **changes)).train()
    losses = model(**batch(model), mode='loss')
    assert {'d0.loss_cls', 'd1.loss_cls', 'loss_cls'} <= losses.keys() and 'd2.loss_cls' not in losses
    total(losses).backward()
    assert not without_gradient(model)
    with torch.no_grad():
        memory = model.encode(batch_inputs=batch(model)['inputs'], samples=batch(model)['data_samples'])
        match, _ = model.ask(memory, None)
        found = model.decode([match], memory)
    assert found['boxes'][0].equal(match.reference)
    normed = model.decoder.norm(match.content)
    assert found['logits'][0].allclose(model.head.class_branches[0](normed), atol=1e-6)


def test_the_head_reads_tokens_without_masks():
    queries = dict(_delete_=True, type='mmparts.MaskQueries', boxes_from_masks=False)
    model = build(base('dino_r50', queries=queries)).train()
    losses = model(**batch(model), mode='loss')
    assert 'enc_loss_bbox' in losses
    total(losses).backward()
    assert not without_gradient(model)


@pytest.mark.parametrize('name', ['detr_masks_r50', 'cell_detr_a'])
def test_checkpoints_with_older_names_are_read(name):
    model, other = build(base(name)), build(base(name), seed=1)
    older = {key.replace('head.mask_branch.', 'head.'): value for key, value in model.state_dict().items()}
    assert older.keys() != model.state_dict().keys()
    other.load_state_dict(older)
    assert all(value.equal(model.state_dict()[key]) for key, value in other.state_dict().items())

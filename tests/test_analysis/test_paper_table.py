"""The tables paper x parts name what the detectors are built of."""

import pytest
import tiny
from mmengine.config import ConfigDict

from mmparts.analysis.tables.paper_table import HEAD, TRANSFORMER, bases, parent, part, table, tables

FOLDER = tiny.CONFIGS / '_base_' / 'models'
MODELS = bases(FOLDER)
BASES = [*MODELS]


def name(module) -> str:
    return '' if module is None else type(module).__name__


def names(modules) -> list[str]:
    return [name(module) for module in modules]


@pytest.mark.parametrize('path', BASES, ids=lambda path: path.stem)
def test_cells_are_true_of_the_built_detector(path):
    cells = {heading: cell(MODELS[path]) for heading, cell in (TRANSFORMER | HEAD).items()}
    built = tiny.build(tiny.tiny(MODELS[path]))
    layer = built.decoder.layers[0]
    attention = getattr(layer.cross_attn, 'base', layer.cross_attn) if 'Gated' in name(layer) else layer.cross_attn
    for heading, found in [
        ('encoder', built.encoder),
        ('queries', built.queries),
        ('decoder', built.decoder),
        ('self-attention', layer.self_attn),
        ('cross-attention', attention),
        ('spatial prior', built.decoder.spatial_prior),
        ('query position', built.decoder.position),
        ('reference update', built.decoder.reference_update),
        ('head', built.head),
        ('matcher', built.head.matcher),
        ('selection', built.head.select),
    ]:
        assert cells[heading].split(' (')[0].split(',')[0] == name(found), heading
    assert [each for each in names(built.groups) if each not in cells['groups']] == []
    assert bool(cells['groups']) == bool(len(built.groups))
    for heading, parts in [('loss terms', built.head.terms), ('costs', built.head.matcher.costs)]:
        assert cells[heading] == ', '.join(f'{name(each)} {each.weight:g}' for each in parts)


def test_every_base_stands_behind_the_one_it_is_a_diff_of():
    assert {'detr_r50', 'dino_r50', 'mask_dino_r50', 'up_detr_pretrain_r50'} <= {path.stem for path in BASES}
    for path in BASES:
        assert parent(path) is None or BASES.index(parent(path)) < BASES.index(path)


@pytest.mark.parametrize(
    ('cfg', 'text'),
    [
        (dict(type='mmparts.TopKQueries'), 'TopKQueries'),
        (
            dict(
                type='mmparts.TopKQueries',
                mixed_selection=True,
                embed_boxes=False,
                class_agnostic=True,
                content_std=1.0,
            ),
            'TopKQueries (mixed_selection, embed_boxes=False)',
        ),
        (dict(type='mmparts.AnchorQueries', content='shared', num_queries=7), 'AnchorQueries (content=shared)'),
        (
            dict(type='mmparts.GaussianCrossAttention', base=dict(type='mmparts.ConditionalCrossAttention')),
            'GaussianCrossAttention (base=ConditionalCrossAttention)',
        ),
        (dict(type='mmparts.TopKMasks', no_object=True), 'TopKMasks (no_object)'),
    ],
)
def test_parts_say_what_is_not_the_default(cfg, text):
    assert part(ConfigDict(cfg)) == text


def test_a_row_is_a_link_a_base_and_a_cell_for_each_column():
    path = FOLDER / 'dab_detr_r50.py'
    columns = {heading: TRANSFORMER[heading] for heading in ('encoder', 'groups', 'self-attention')}
    head, rule, row = table({path: MODELS[path]}, columns, tiny.CONFIGS).splitlines()
    assert head == '| model | a diff of | encoder | groups | self-attention |'
    assert row == (
        '| [dab_detr_r50](_base_/models/dab_detr_r50.py) | detr_r50 | DenseEncoder (scale_positions) | - | '
        'ConditionalSelfAttention |'
    )


def test_tables_have_a_row_for_each_base():
    first, second = tables(FOLDER, tiny.CONFIGS / 'README.md').split('\n\n')
    assert first.count('\n') == second.count('\n') == len(BASES) + 1

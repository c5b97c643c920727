"""Every backbone under every head, as the table in configs/combined/README.md says."""

import runpy

import pytest
from tiny import CONFIGS

from mmparts.analysis.comparisons.backbone_combinations import BACKBONES, HEADS, every, table, try_out
from mmparts.analysis.comparisons.combinations import Outcome

TOOL = runpy.run_path(str(CONFIGS.parent / 'tools' / 'combinations.py'))


def written() -> dict[tuple[str, str], str]:
    """Mark of each combination, as the README has them."""
    text = TOOL['README'].read_text(encoding='utf-8')
    lines = text.partition(TOOL['BACKBONE_MARKS'][0])[2].partition(TOOL['BACKBONE_MARKS'][1])[0].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines if line.startswith('|')]
    return {(row[0], head): cell for row in rows[2:] for head, cell in zip(rows[0][1:], row[1:])}


@pytest.mark.parametrize('names', [*every()], ids=' under '.join)
def test_the_table_is_true(names):
    found = try_out(*names)
    assert not found.problem
    assert written()[names] == ('1' if found.refused else '✓')


def test_the_table_is_whole():
    assert list(written()) == [*every()] and set(written().values()) == {'✓', '1'}


def test_what_does_not_work_is_found(monkeypatch):
    monkeypatch.setitem(BACKBONES, 'Swin', dict(BACKBONES['Swin'], no_such_word=1))
    assert 'no_such_word' in try_out('Swin', 'UPerNet').problem
    odd = HEADS['Classifier']('ViT')
    odd['backbone']['out_indices'] = (0,)
    monkeypatch.setitem(HEADS, 'UPerNet', lambda name: odd)
    assert 'no gradient: backbone.blocks.1' in try_out('ViT', 'UPerNet').problem


def test_marks_and_reasons():
    outcomes = {names: Outcome() for names in every()}
    outcomes['ViT', 'DINO'], outcomes['Swin', 'UPerNet'] = Outcome(refused='one'), Outcome(problem='odd')
    lines = table(outcomes).splitlines()
    assert lines[0] == f'| backbone | {" | ".join(HEADS)} |'
    assert lines[2].startswith('| ViT | 1 | ✓ |') and '| ✓ | ✓ | FAILS |' in lines[3] and lines[-1] == '1. one'

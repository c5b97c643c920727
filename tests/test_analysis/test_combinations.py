"""The table of combinations says what is true, and would say it if something broke."""

import inspect
import re
import runpy

import pytest
import torch
from tiny import CONFIGS

from mmparts.analysis.comparisons import combinations
from mmparts.analysis.comparisons.combinations import CROSS_ATTENTION, GROUPS, QUERIES, Outcome, every, table, try_out
from mmparts.detr import detector
from mmparts.detr.structures import Run
from mmparts.registry import MODELS

TOOL = runpy.run_path(str(CONFIGS.parent / 'tools' / 'combinations.py'))
README = TOOL['README'].read_text(encoding='utf-8')


def written() -> tuple[dict[tuple[str, str, str], str], dict[str, str]]:
    """Mark of each combination and reason of each number, as the README has them."""
    lines = README.partition(TOOL['MARKS'][0])[2].partition(TOOL['MARKS'][1])[0].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines if line.startswith('|')]
    marks = {(row[0], row[1], group): cell for row in rows[2:] for group, cell in zip(rows[0][2:], row[2:])}
    return marks, dict(line.split('. ', 1) for line in lines if re.match(r'\d+\. ', line))


def test_no_part_is_left_out():
    """Every registered part that says what references it brings, and every one that attends to the memory."""
    tried = set(re.findall(r"'type': 'mmparts\.(\w+)'", str([QUERIES, GROUPS, CROSS_ATTENTION])))
    ours = {name: part for name, part in MODELS.module_dict.items() if part.__module__.startswith('mmparts.detr.')}
    assert len(ours) > 50
    for name, part in ours.items():
        takes = inspect.signature(getattr(part, 'forward', lambda: None)).parameters
        if hasattr(part, 'coordinates') or {'content', 'pos', 'reference', 'memory'} <= takes.keys():
            assert name in tried


def test_every_combination_works_or_is_refused_with_a_reason():
    marks, reasons = written()
    assert list(marks) == [*every()]
    assert set(marks.values()) == {'✓', *reasons}


@pytest.mark.parametrize(
    'names',
    [
        ('LearnedQueries', 'Gaussian over Dense', 'none'),
        ('LearnedQueries', 'Deformable', 'none'),
        ('LearnedQueries', 'Dense', 'Denoising, plain'),
        ('PointQueries', 'Deformable', 'none'),
        ('PointQueries', 'Gaussian over Dense', 'Collaborative'),
        ('AnchorQueries', 'Gaussian over Conditional', 'Denoising, plain'),
        ('AnchorQueries', 'Conditional', 'OneToMany'),
        ('AnchorQueries', 'Conditional, gated by level', 'Collaborative'),
        ('TopKQueries', 'Dense', 'OneToMany and Collaborative'),
        ('TopKQueries', 'Conditional', 'all three'),
        ('TopKQueries, mixed', 'Deformable', 'all three'),
        ('MaskQueries', 'Conditional', 'all three'),
        ('MaskQueries', 'Deformable', 'Denoising, contrastive'),
    ],
    ids=' x '.join,
)
def test_the_table_is_not_out_of_date(names):
    """Some of it; should it fail, run the tool, which tries all."""
    marks, reasons = written()
    found = try_out(*names)
    assert not found.problem
    assert found.refused == reasons.get(marks[names], ''), 'run tools/combinations.py --write-readme'


NAMES = ('AnchorQueries', 'Dense', 'Denoising, plain')


def test_queries_that_look_at_others_are_found(monkeypatch):
    assert try_out(*NAMES).difference < combinations.TOLERANCE
    monkeypatch.setattr(detector, 'isolated', lambda groups: [Run(sum(group.size for group in groups), None)])
    assert 'extra groups change the matching queries by' in try_out(*NAMES).problem


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        (lambda self, *args: self.idle, 'AttributeError'),
        (lambda self, *args: dict(loss=self.decoder.layers[0].norm_ffn.bias.sum()), 'no gradient.*decoder.layers.1'),
        (lambda self, *args: dict(loss=torch.tensor(torch.nan)), 'not finite: loss'),
    ],
)
def test_a_step_that_goes_wrong_is_found(monkeypatch, change, problem):
    monkeypatch.setattr(detector.QueryDetector, 'loss', change)
    assert re.search(problem, try_out(*NAMES).problem)


def test_marks_and_reasons():
    outcomes = {names: Outcome() for names in every()}
    first, second, third, *_ = outcomes
    outcomes[first] = outcomes[third] = Outcome(refused='one')
    outcomes[second] = Outcome(problem='odd')
    head, _, row, *rest = table(outcomes).splitlines()
    assert head.count('|') == 3 + len(GROUPS)
    assert row.startswith(f'| {next(iter(QUERIES))} | {next(iter(CROSS_ATTENTION))} | 1 | FAILS | 1 | ✓ |')
    assert rest[-2:] == ['', '1. one']

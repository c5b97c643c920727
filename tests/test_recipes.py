"""Every shipped config trains what the papers and sheets say: tests/recipes.yml, written from them, is the judge."""

import re
from collections import Counter
from fnmatch import fnmatch
from functools import cache

import pytest
import yaml
from mmengine.config import Config
from recipes import TABLE, default, facts, own, table
from tiny import CONFIGS

from mmparts.analysis.config_checks.config_files import shipped

NAMES = [path.relative_to(CONFIGS).with_suffix('').as_posix() for path in shipped(CONFIGS)]
ROWS = table()
IN_TABLE = [name for name in NAMES if name in ROWS]


@cache
def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'{name}.py')


def test_every_config_has_a_row_and_every_row_a_config():
    missing = [name for name in NAMES if name not in ROWS and not any(fnmatch(name, each) for each in own())]
    left = sorted(set(ROWS) - set(NAMES))
    assert not missing, f'write their rows in tests/recipes.yml, from the paper: {missing}'
    assert not left, f'tests/recipes.yml has rows for configs that are no more: {left}'


def test_a_config_has_one_row():
    """Of two, YAML would take the second and say nothing."""
    names = re.findall(r'^  (\S+):', TABLE.read_text(encoding='utf-8').rpartition('\nconfigs:')[2], re.MULTILINE)
    assert len(names) > 100 and not [name for name, count in Counter(names).items() if count > 1]


def test_what_has_no_row_is_our_own_and_says_why():
    """There is no list of rows to be written later, and no pattern that takes in what a row has, or nothing."""
    assert set(yaml.safe_load(TABLE.read_text(encoding='utf-8'))) == {'own', 'rows', 'configs'}
    for pattern, reason in own().items():
        assert len(reason.split()) > 3, f'{pattern}: {reason!r} is no reason'
        names = [name for name in NAMES if fnmatch(name, pattern)]
        assert names and not set(names) & set(ROWS), f'{pattern}: {names}'


@pytest.mark.parametrize('name', IN_TABLE)
def test_trains_what_the_paper_says(name):
    cfg = load(name)
    found, wanted = plain(facts(cfg, name)), plain(ROWS[name])
    different = {
        key: f'{found.get(key)} in the config, {wanted.get(key)} in the table'
        for key in sorted({*found, *wanted})
        if found.get(key) != wanted.get(key)
    }
    assert not different


@pytest.mark.parametrize('name', IN_TABLE)
def test_the_rate_belongs_to_the_batch_of_the_name(name):
    """What `--auto-scale-lr` scales from is the batch that the config trains with."""
    cfg = load(name)
    if 'auto_scale_lr' in cfg:
        assert cfg.auto_scale_lr.base_batch_size == facts(cfg, name)['batch']


def plain(value):
    """Tuples as lists, whole numbers as floats: YAML does not tell them apart as Python does."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return value.strip()
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize('row', ['dino', 'h_detr', 'co_dino'])
def test_a_part_without_arguments_is_that_of_its_paper(row):
    for name, numbers in yaml.safe_load(TABLE.read_text(encoding='utf-8'))['rows'][row]['groups'].items():
        assert {key: default(dict(type=f'mmparts.{name}'), key) for key in numbers} == numbers

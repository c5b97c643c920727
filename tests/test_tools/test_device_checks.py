"""The checks for accelerators run on a CPU, small; and a failure is a row that ends the run with 1."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

from mmparts.analysis import device_checks
from mmparts.analysis.device_checks import SECTIONS, Bench, main, run

ROOT = Path(__file__).resolve().parents[2]
LONG = ('operators', 'training', 'compile')  # whole models, or many calls
SMALL = Bench(torch.device('cpu'), full=False, seconds=0.02, configs=ROOT / 'configs')


@pytest.mark.parametrize('section', [name for name in SECTIONS if name not in LONG])
def test_a_section_runs_small(section):
    rows = list(run(SMALL, [section]))
    assert rows and all(row['section'] == section and 'error' not in row and row.get('ok', True) for row in rows)
    names = [row['check'] for row in rows]
    assert len(set(names)) == len(names)
    if section == 'parity':
        assert {'ms_deform_attn numba float32', 'ms_deform_attn numba bfloat16', 'dcnv3 torch float32'} <= set(names)


@pytest.mark.long
@pytest.mark.parametrize('section', LONG)
def test_a_long_section_runs_small(section):
    rows = list(run(SMALL, [section]))
    assert rows and not [row for row in rows if 'error' in row or not row.get('ok', True)]
    if section == 'operators':
        assert all(row['ours_ms'] > 0 and row['ratio'] == row['plain_ms'] / row['ours_ms'] for row in rows)


def test_failures_are_rows_and_the_rest_goes_on(monkeypatch, capsys, tmp_path):
    def broken(bench):
        yield dict(check='first', ok=True)
        raise RuntimeError('no such kernel')

    monkeypatch.setitem(device_checks.SECTIONS, 'nms', broken)
    path = tmp_path / 'rows.json'
    assert main(SMALL.configs, ['nms', 'ceilings', '--device', 'cpu', '--seconds', '0.01', '--json', str(path)]) == 1
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed[0]['device'] == 'cpu' and printed[-1]['failed'] == 1
    rows = json.loads(path.read_text())['rows']
    assert [row['check'] for row in rows][:2] == ['first', 'failed'] and len(rows) == printed[-1]['checks'] == 6
    assert rows[1]['error'] == 'RuntimeError: no such kernel' and 'broken' in ''.join(rows[1]['traceback'])


def test_an_inexact_result_ends_with_one(monkeypatch):
    monkeypatch.setitem(device_checks.SECTIONS, 'nms', lambda bench: iter([dict(check='x', ok=False)]))
    assert main(SMALL.configs, ['nms', '--device', 'cpu']) == 1


def test_after_the_limit_no_section_is_begun():
    (row,) = run(SMALL, ['nms'], deadline=-1)
    assert row['error'] == 'the time limit of -1 s was over'


def test_an_unknown_section_is_refused_with_the_known_ones(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['device_checks.py', 'speed'])
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / 'tools/device_checks.py'), run_name='__main__')
    assert 'no section speed; there are parity, ceilings, operators' in capsys.readouterr().err

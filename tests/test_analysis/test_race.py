"""The race with peers: results are compared before anything is timed, absent peers are named."""

import json

import pytest
import torch

from mmparts.analysis.races import race as benchmark
from mmparts.analysis.races.race import Workload, cases, chosen, main, measure


def workload(answer: float, peers: dict[str, float], **options) -> dict:
    return dict(
        name='sum',
        ours=lambda: [torch.tensor(answer)],
        tolerance=1e-5,
        peers={name: lambda value=value: [torch.tensor(value)] for name, value in peers.items()},
        **options,
    )


def test_a_row_per_peer_and_the_goal_in_the_first():
    rows = measure(Workload(**workload(2.0, {'first': 2.0, 'second': 2.000001}, goal=3)), rounds=3)
    assert [(row['peer'], row['goal']) for row in rows] == [('first', 3), ('second', None)]
    assert all(row['ratio'] == row['peer_ms'] / row['ours_ms'] for row in rows)


def test_a_wrong_result_is_not_timed():
    with pytest.raises(RuntimeError, match='sum: ours and peer differ by 5.0e-01, allowed are 1.0e-05'):
        measure(Workload(**workload(1.0, {'peer': 2.0})), rounds=2)


def test_every_workload_is_listed():
    assert {
        'encoder',
        'decoder',
        'dcnv3-56',
        'window-7x7',
        'window-16x16',
        'window-7x7x7',
        'matching',
        'coco-boxes',
    } <= set(cases())


def test_whole_nets_run_only_where_asked_for():
    available = cases()
    assert 'vit-b' not in chosen([], available) and 'encoder' in chosen([], available)
    assert chosen(['encoder', 'models'], available) == [
        'encoder',
        'vit-b',
        'swin-v2-t',
        'intern-image-t',
        'unetr',
        'swin-unetr',
        'clip',
        'blip-captions',
        'perceiver-io',
    ]


def test_an_absent_peer_is_named_and_the_rest_runs(monkeypatch, tmp_path, capsys):
    def absent():
        import a_package_that_nobody_has  # noqa: F401

        yield

    monkeypatch.setattr(benchmark, 'cases', lambda: dict(absent=absent, sum=lambda: [workload(1.0, {'peer': 1.0})]))
    main(['--rounds', '2', '--json', str(tmp_path / 'rows.json')])
    written = json.loads((tmp_path / 'rows.json').read_text())
    assert [row['workload'] for row in written['rows']] == ['sum']
    assert written['left_out'] == {'absent': 'its peer a_package_that_nobody_has is not installed'}
    assert 'absent: left out' in capsys.readouterr().out

"""A comparison: what the models share, what is found again, what a failure costs, the table and the picture."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmparts.analysis.comparisons.convergence import Budget, Run, budgeted, compare, load_configs, name_of
from mmparts.analysis.comparisons.convergence_report import reached, table, write_report
from mmparts.datasets import make_shapes

ROOT = Path(__file__).resolve().parents[2]
BUDGET = Budget(iterations=4, val_interval=2, batch_size=2, warmup=1)

# Stands in for tools/train.py: writes the log of a training whose AP grows with the seed; fails where told to.
TRAINER = """
import json, pathlib, sys
config, _, folder = sys.argv[1:]
seed = int(folder[-1])
if (pathlib.Path(folder).parent / 'fail').exists():
    sys.exit('no memory left')
logs = pathlib.Path(folder, '20260101', 'vis_data')
logs.mkdir(parents=True, exist_ok=True)
records = [{'loss': 1.0, 'time': t, 'step': s} for s, t in ((1, 9.0), (2, 0.5), (3, 0.5))]
records += [{'coco/bbox_mAP': s * (seed + 1) / 20, 'step': s} for s in (2, 4)]
(logs / 'scalars.json').write_text('\\n'.join(map(json.dumps, records)))
with open(pathlib.Path(folder).parents[1] / 'calls', 'a') as file:
    print(folder, file=file)
"""


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('convergence') / 'shapes'
    make_shapes(folder, images=2, val_images=2, size=48)
    return folder


@pytest.fixture
def configs(shapes):
    paths = [f'mmparts::{name}_small_1xb8-9e_shapes.py' for name in ('detr/detr', 'h_detr/h-deformable-detr')]
    return load_configs(paths, {'data_root': str(shapes)})


@pytest.fixture
def trainer(tmp_path):
    (tmp_path / 'trainer.py').write_text(TRAINER)
    return [sys.executable, str(tmp_path / 'trainer.py')]


def all_runs(configs, work_dir, trainer, seeds=(0, 1), budget=BUDGET, say=lambda text: None) -> list[Run]:
    *_, runs = compare(configs, budget, list(seeds), str(work_dir), trainer, say)
    return runs


def test_models_share_the_budget_and_keep_their_parts(configs):
    assert list(configs) == ['detr', 'h-deformable-detr']
    detr, h_detr = (budgeted(cfg, BUDGET, seed=7) for cfg in configs.values())
    for cfg, original in zip((detr, h_detr), configs.values()):
        assert cfg.model == original.model and cfg.optim_wrapper == original.optim_wrapper
        assert cfg.train_cfg.max_iters == 4 and cfg.train_dataloader.batch_size == 2 and cfg.randomness.seed == 7
        assert [scheduler['end'] for scheduler in cfg.param_scheduler] == [1, 4]
    differing = {key for key in {*detr, *h_detr} if detr.get(key) != h_detr.get(key)}
    assert 'model' in differing and not differing & {
        'train_cfg',
        'train_dataloader',
        'val_dataloader',
        'val_evaluator',
        'param_scheduler',
        'optim_wrapper',
        'default_hooks',
        'randomness',
    }


def test_default_models_compare_and_differ_in_nothing_but_their_parts(shapes):
    models = load_configs(runpy.run_path(str(ROOT / 'tools' / 'convergence.py'))['DEFAULT'], {'data_root': str(shapes)})
    assert len(models) == 10
    optimisers = {json.dumps(cfg.optim_wrapper.to_dict(), sort_keys=True) for cfg in models.values()}
    widths = {
        (
            cfg.model.embed_dims,
            cfg.model.num_queries,
            cfg.model.backbone.depth,
            cfg.model.backbone.base_channels,
            cfg.model.encoder.num_layers,
            cfg.model.decoder.num_layers,
            cfg.model.decoder.ffn_channels,
        )
        for cfg in models.values()
    }
    assert len(optimisers) == len(widths) == 1


def test_finished_runs_are_found_again_and_others_trained(configs, tmp_path, trainer):
    calls = tmp_path / 'work' / 'calls'
    runs = all_runs(configs, tmp_path / 'work', trainer, seeds=[0])
    assert [run.status for run in runs] == ['finished'] * 2 and len(calls.read_text().split()) == 2
    assert runs[0].curve == [(2, 0.1), (4, 0.2)]
    assert runs[0].seconds_per_iteration == 0.5, 'the first iteration, slower, does not count'

    all_runs(configs, tmp_path / 'work', trainer, seeds=[0, 1])
    assert [line[-1] for line in calls.read_text().split()] == list('0011')

    (log,) = (tmp_path / 'work' / 'detr' / 'seed_1').rglob('scalars.json')
    log.write_text(log.read_text().rsplit('\n', 1)[0])  # killed before the last evaluation
    runs = all_runs(configs, tmp_path / 'work', trainer)
    assert calls.read_text().split()[4:] == [str(tmp_path / 'work' / 'detr' / 'seed_1')]
    assert all(run.status == 'finished' for run in runs)


def test_a_failure_is_told_and_does_not_lose_the_others(configs, tmp_path, trainer):
    (tmp_path / 'work' / 'detr').mkdir(parents=True)
    (tmp_path / 'work' / 'detr' / 'fail').touch()
    told = []
    runs = all_runs(configs, tmp_path / 'work', trainer, say=told.append)
    assert {(run.name, run.status) for run in runs} == {('detr', 'failed'), ('h-deformable-detr', 'finished')}
    assert 'detr, seed 0: failed with exit code 1: no memory left' in told[1] and 'output.txt' in told[1]
    assert '| detr |' not in table(runs, BUDGET) and '| h-deformable-detr |' in table(runs, BUDGET)


def test_runs_of_another_budget_are_refused(configs, tmp_path, trainer):
    all_runs(configs, tmp_path / 'work', trainer, seeds=[0])
    with pytest.raises(ValueError, match='another config, budget or data set; choose another --work-dir'):
        all_runs(configs, tmp_path / 'work', trainer, seeds=[0], budget=Budget(6, 2))


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ((0, 1), 'iterations is 0'),
        ((10, 0), 'val_interval is 0'),
        ((10, 20), 'more than all 10'),
        ((10, 5, 0), 'batch_size is 0'),
    ],
)
def test_bad_budgets_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Budget(*values)


def test_models_that_do_not_compare_are_refused(shapes):
    detr = 'mmparts::detr/detr_small_1xb8-9e_shapes.py'
    root = {'data_root': str(shapes)}
    with pytest.raises(ValueError, match="two configs are named 'detr'"):
        load_configs([detr, str(ROOT / 'configs/detr/detr_r50_8xb2-500e_coco.py')], root)
    with pytest.raises(ValueError, match='mask-dino has another train_dataloader than detr'):
        load_configs([detr, 'mmparts::mask_dino/mask-dino_small_1xb8-9e_shapes-instance.py'], root)
    with pytest.raises(ValueError, match='has no val_dataloader'):
        load_configs(['mmparts::up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py'], root)
    with pytest.raises(FileNotFoundError, match='no annotations at .*make_shapes.py'):
        load_configs([detr], {'data_root': str(shapes / 'nowhere')})
    with pytest.raises(FileNotFoundError, match='Did you mean'):
        load_configs([str(ROOT / 'configs/detr/detr_smal.py')], root)


def test_names():
    assert name_of('mmparts::dino/dino-4scale_small_1xb8-9e_shapes.py') == name_of('a/b/dino-4scale_x.py')
    assert name_of('mmparts::dino/dino-4scale_small_1xb8-9e_shapes.py') == 'dino-4scale'


def run(name: str, seed: int, *aps: float) -> Run:
    return Run(name, seed, '', 'finished', [(100 * (at + 1), ap) for at, ap in enumerate(aps)], 0.25, 90.0)


RUNS = [
    run('slow', 0, 0.0, 0.0, 0.1, 0.12),
    run('slow', 1, 0.0, 0.1, 0.12, 0.14),
    run('fast', 0, 0.1, 0.3, 0.4, 0.5),
    Run('lost', 0, '', 'failed'),
]


def test_table_has_means_ranges_and_first_iterations():
    rows = [
        [cell.strip(' *') for cell in line.strip('|').split('|')]
        for line in table(RUNS, Budget(400, 100), levels=(0.1, 0.2)).splitlines()
    ]
    assert [row[0] for row in rows] == ['model', '---', 'fast', 'slow'], 'by final AP'
    assert rows[2] == ['fast', '1', '0.100', '0.300', '0.400', '0.500', '0.500 - 0.500', '100', '200', '0.25', '1.5']
    assert rows[3] == ['slow', '2', '0.000', '0.050', '0.110', '0.130', '0.120 - 0.140', '300', '-', '0.25', '1.5']
    assert reached(np.array([100, 200]), np.array([0.1, 0.3]), 0.2) == 200


@pytest.mark.parametrize('runs', [RUNS, RUNS[-1:]])
def test_report_is_written_from_much_and_from_nothing(tmp_path, runs):
    out = tmp_path / 'docs' / 'convergence'
    write_report(runs, Budget(400, 100), str(out))
    assert Image.open(f'{out}.png').size[0] > 800
    saved = json.loads(Path(f'{out}.json').read_text())
    assert saved['budget']['iterations'] == 400 and len(saved['runs']) == len(runs)
    page = Path(f'{out}.md')
    page.write_text('What it means.\n\n' + page.read_text().replace('slow', 'old'))
    write_report(runs, Budget(400, 100), str(out))
    assert page.read_text().startswith('What it means.') and 'old' not in page.read_text()
    page.write_text('Of something else.')
    with pytest.raises(ValueError, match='has no place for the table'):
        write_report(runs, Budget(400, 100), str(out))


def test_tool_trains_reports_and_finds_again(shapes, tmp_path, run_tool, capsys):
    config = tmp_path / 'tiny_detr.py'
    config.write_text(f"""
_base_ = '{ROOT}/configs/detr/detr_small_1xb8-9e_shapes.py'
model = dict(embed_dims=16, backbone=dict(base_channels=8), encoder=dict(num_layers=1), decoder=dict(num_layers=1))
""")
    arguments = [
        config,
        '--iterations',
        2,
        '--val-interval',
        1,
        '--batch-size',
        2,
        '--seeds',
        5,
        '--data-root',
        shapes,
        '--work-dir',
        tmp_path / 'work',
        '--out',
        tmp_path / 'report',
    ]
    assert run_tool('convergence', *arguments) == 0
    (saved,) = json.loads((tmp_path / 'report.json').read_text())['runs']
    assert saved['status'] == 'finished' and [step for step, _ in saved['curve']] == [1, 2]
    assert Config.fromfile(tmp_path / 'work' / 'tiny' / 'seed_5.py').randomness.seed == 5
    assert saved['processor_seconds'] > 0 and 0 < saved['seconds_per_iteration'] < 60

    capsys.readouterr()
    assert run_tool('convergence', *arguments) == 0
    assert '1 of them found' in capsys.readouterr().out


def test_tool_tells_what_is_wrong(shapes, tmp_path, run_tool, capsys):
    assert run_tool('convergence', '--iterations', 0, '--data-root', shapes, '--work-dir', tmp_path) == 2
    assert '--iterations' in capsys.readouterr().err
    assert run_tool('convergence', '--data-root', tmp_path / 'none', '--work-dir', tmp_path) == 1
    assert run_tool('convergence', '--seeds', 1, 1, '--data-root', shapes) == 2

"""The benchmark counts what can be counted by hand, measures what was done, and races only equals."""

import json
import logging
import os
import runpy
import sys
import time

import pytest
import tiny
import torch
from mmengine.config import Config
from torch import nn

from mmparts.analysis.complexity import build_on_meta, count_macs, count_parameters
from mmparts.analysis.races import benchmark
from mmparts.analysis.races.timing import PeakMemory, Race, Timing, measure, race
from mmparts.analysis.races.transformers_names import to_transformers
from mmparts.analysis.races.transformers_peer import inference_contest, training_contest, transformers_peer
from mmparts.detr.structures import Memory
from mmparts.layers.deformable import DeformableAttention
from mmparts.tasks import task_of

CPU = torch.device('cpu')
TOOL = tiny.CONFIGS.parent / 'tools' / 'benchmark.py'
VARIANTS = [
    'deformable_detr_r50',
    'deformable_detr_singlescale_r50',
    'deformable_detr_refine_r50',
    'deformable_detr_refine_twostage_r50',
]


@pytest.mark.parametrize(
    ('name', 'printed', 'trainable'),
    [('detr_r50', 41_524_768, 41_302_368), ('deformable_detr_r50', 40_069_665, 39_847_265)],
)
def test_parameters_are_those_of_the_papers(name, printed, trainable):
    cfg = Config.fromfile(tiny.CONFIGS / '_base_' / 'models' / f'{name}.py')
    cfg.model.num_classes = 91
    counted = count_parameters(build_on_meta(cfg))
    assert counted['total'].as_papers_count == printed
    assert counted['total'].trainable == trainable
    assert sum(part.total for name, part in counted.items() if name != 'total') == counted['total'].total


class Small(nn.Module):
    """Has one of everything that is counted."""

    task = 'detection'

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.attn = DeformableAttention(4, num_heads=2, num_levels=1, num_points=3)

    def forward(self, inputs, data_samples, mode):
        feats = self.conv(inputs)
        memory = Memory.from_levels([feats], [feats], None)
        tokens = nn.functional.scaled_dot_product_attention(memory.tokens, memory.tokens, memory.tokens)
        reference = memory.centres.expand(len(inputs), -1, -1)[:, :, None]
        return self.attn(tokens, tokens, memory.shapes, reference)


def test_macs_are_those_counted_by_hand():
    with torch.device('meta'):
        macs = count_macs(Small(), (5, 6))
    pixels = 5 * 6
    linears = pixels * 4 * (2 * 1 * 3 * 2 + 2 * 1 * 3 + 4 + 4)  # offsets, weights, value, output
    sampling = pixels * 3 * 4 * 5  # three points for each of four channels: four neighbours and a weight
    assert macs == {
        'total': pixels * 27 * 4 + linears + sampling + 2 * pixels * pixels * 4,
        'conv': pixels * 27 * 4,
        'attn': linears + sampling,
        '(itself)': 2 * pixels * pixels * 4,
    }


def test_measuring_stops_at_the_rounds_or_the_budget():
    assert repetitions(lambda: None, rounds=4) == 4
    assert 1 <= repetitions(lambda: time.sleep(0.05), rounds=50, budget=0.2) <= 4
    steps = []
    assert repetitions(lambda: steps.append(time.sleep(0.05)), rounds=50, budget=0.01) == len(steps) == 1


def repetitions(step, **limits) -> int:
    timing, _ = measure(step, CPU, **limits)
    return len(timing.seconds)


def test_memory_that_stays_after_the_warm_up_is_not_in_the_peak():
    stays = []
    _, memory = measure(lambda: stays or stays.append(torch.ones(64, 2**18)), CPU, rounds=2)
    assert memory.bytes < 30 * 2**20


def test_a_race_takes_turns_and_compares_the_best():
    turns = []
    race(lambda: turns.append('ours'), lambda: turns.append('theirs'), CPU, rounds=5)
    assert turns == ['ours', 'theirs'] * 6  # the first pair warms up
    result = Race(Timing([1.0, 2.0]), Timing([3.0, 8.0]))
    assert result.ratio == 3 and result.spread == (3, 4)


def test_peak_memory_sees_what_was_freed_again():
    with PeakMemory(CPU) as memory:
        torch.ones(64, 2**18)  # 64 MiB
    assert 60 * 2**20 < memory.bytes < 90 * 2**20


@pytest.mark.parametrize('name', VARIANTS)
def test_names_are_exactly_those_of_transformers(name):
    pytest.importorskip('transformers')
    model = tiny.build(grouped(name))
    theirs = transformers_peer(model).state_dict()
    assert {key: each.shape for key, each in to_transformers(model.state_dict()).items()} == {
        key: each.shape for key, each in theirs.items()
    }
    with pytest.raises(KeyError, match='neck.strange.weight'):
        to_transformers({**model.state_dict(), 'neck.strange.weight': torch.ones(1)})


def grouped(name: str, **changes) -> dict:
    """A tiny model with 32 groups in the neck's norms, which transformers has fixed."""
    return tiny.base(name, neck=dict(norm_cfg=dict(num_groups=32)), **changes)


@pytest.mark.parametrize('name', VARIANTS)
def test_inference_races_equals(name):
    pytest.importorskip('transformers')
    model = tiny.build(grouped(name))
    contest = inference_contest(model, *task_of(model).random(model, (128, 160)).values())
    assert 'logits within' in contest.check()
    model.head.class_branches[-1].bias.data += 1e-3
    with pytest.raises(AssertionError, match='logits differ by 1.0e-03'):
        contest.check()


def test_training_races_equals():
    pytest.importorskip('transformers')
    cfg = grouped('deformable_detr_r50', encoder=dict(dropout=0.0), decoder=dict(dropout=0.0))
    cfg.head.terms[0].weight = 1.0
    model = tiny.build(cfg)
    images, samples = task_of(model).random(model, (128, 128), 2).values()
    samples[1].set_metainfo(dict(img_shape=(128, 96)))
    samples[1].gt_instances.bboxes[:, 0::2] *= 0.75
    contest = training_contest(model, images, samples)
    assert 'gradients within' in contest.check()
    model.head.terms[0].weight = 2.0
    with pytest.raises(AssertionError, match='losses are'):
        contest.check()


@pytest.mark.parametrize('name', ['mask_dino_r50', 'cell_detr_b', 'detr_masks_r50', 'smca_detr_r50'])
def test_every_kind_of_model_is_timed_and_counted(name):
    """With masks, of one channel, with parts that leave autocast."""
    cfg = Config(dict(model=tiny.base(name), default_scope='mmdet'))
    for measure in (benchmark.measure_inference, benchmark.measure_training):
        assert measure(cfg, 1, (64, 96), CPU, rounds=1)
    assert count_macs(build_on_meta(cfg), (64, 96))['total'] > 0


@pytest.mark.parametrize('own', [False, True], ids=['--amp-dtype', "the config's"])
def test_mixed_precision_beside_the_gpu_of_the_machine_is_refused(monkeypatch, own):
    """mmengine's autocast goes by the machine, so it would be timed without."""
    cfg = Config(dict(model=tiny.base('dino_r50'), default_scope='mmdet'))
    if own:
        cfg.optim_wrapper = dict(benchmark.OPTIMIZER, type='mmparts.Bfloat16OptimWrapper')
    monkeypatch.setattr(benchmark, 'get_device', lambda: 'cuda')
    with pytest.raises(SystemExit, match='error: mixed precision on cpu would be timed without it'):
        benchmark.measure_training(cfg, 1, (64, 96), CPU, None if own else 'bfloat16', rounds=1)


@pytest.fixture
def config(tmp_path) -> str:
    """A tiny DINO whose pretrained weights do not exist."""
    model = tiny.base('dino_r50')
    model.backbone.init_cfg = dict(type='Pretrained', checkpoint='nowhere/to/be/found.pth')
    path = tmp_path / 'config.py'
    Config(dict(model=model, default_scope='mmdet')).dump(path)
    return str(path)


def run_tool(monkeypatch, *arguments: str):
    monkeypatch.setattr(os, 'environ', dict(os.environ))  # what the tool sets ends with the test
    monkeypatch.setattr(logging.root.manager, 'disable', logging.root.manager.disable)
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert not ended.value.code


def test_the_tool_writes_json_of_everything(config, tmp_path, monkeypatch, capsys):
    file = tmp_path / 'figures.json'
    run_tool(monkeypatch, config, '--json', str(file), '--shape', '64', '96', '--device', 'cpu', '--rounds', '2')
    figures = json.loads(file.read_text())
    assert figures['macs']['total'] > 0 and figures['parameters']['total']['total'] > 0
    assert figures['inference']['images_per_second'] > 0 and 'training' not in figures
    assert 'img/s' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('option', 'key'),
    [('--params', 'parameters'), ('--flops', 'macs'), ('--speed', 'inference'), ('--train', 'training')],
)
def test_each_figure_comes_alone(config, monkeypatch, capsys, option, key):
    run_tool(monkeypatch, config, option, '--json', '-', '--shape', '64', '96', '--device', 'cpu', '--rounds', '1')
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {'config', 'shape', 'environment', key}

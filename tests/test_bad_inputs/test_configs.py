"""Configs and options that would be ignored, or mean nothing: refused before anything is built, with the nearest name
and the file that set it."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

import mmparts
from mmparts.analysis.config_checks.config_sources import set_by
from mmparts.analysis.config_checks.preflight import ConfigErrors, refuse
from mmparts.datasets.root import merge_options
from mmparts.engine.optim.paramwise import check_keys

ROOT = Path(__file__).parents[2]
BASE = mmparts.config('dino/dino-4scale_small_2xb4-7e_shapes.py')


def findings(tmp_path, text: str = '', options: dict | None = None, middle: str | None = None) -> str:
    """What is refused of a config on the small DINO, with a base between them where ``middle`` is given."""
    base = BASE
    if middle is not None:
        (tmp_path / 'middle.py').write_text(f'_base_ = {BASE!r}\n{middle}\n')
        base = str(tmp_path / 'middle.py')
    path = tmp_path / 'config.py'
    path.write_text(f'_base_ = {base!r}\n{text}\n')
    cfg = merge_options(Config.fromfile(path), options)
    with pytest.raises(ConfigErrors) as error:
        refuse(cfg, options or ())
    assert str(path) in str(error.value)
    return str(error.value)


IGNORED = [
    ('optim_wraper = dict(optimizer=dict(lr=1))', 'nothing reads this variable; did you mean `optim_wrapper`'),
    ('train_pipeline = []', 'train_pipeline: nothing reads this variable; what .*shapes_detection.py made of its own'),
    ("data_root = 'data/mine/'", 'data_root: nothing reads this variable; what .*shapes_detection.py made'),
    ('max_epochs = 3', 'max_epochs: nothing reads this variable'),
    ('model = dict(num_clases=3)', 'model.num_clases: QueryDetector takes no `num_clases`. Did you mean `num_classes`'),
    ("model = dict(head=dict(type='mmparts.SetPredictionHed'))", 'Did you mean .*SetPredictionHead'),
    ("model = dict(type='QueryDetector')", 'Did you mean `mmparts.QueryDetector`'),
    ("model = dict(backbone=dict(type='mmpart.Swin'))", 'there is no scope, and no installed package, `mmpart`'),
    ('model = dict(backbone=dict(dept=50))', 'takes no `dept`. Did you mean `depth`'),
    ("model = dict(backbone=dict(type='mmparts.Swin'))", 'It is left over from .*write `_delete_=True`'),
    ('train_dataloader = dict(batchsize=2)', 'train_dataloader takes no `batchsize`. Did you mean `batch_size`'),
    ("train_dataloader = dict(dataset=dict(annfile='x'))", 'takes no `annfile`. Did you mean `ann_file`'),
    ('optim_wrapper = dict(optimizer=dict(learning_rate=1))', 'takes no `learning_rate`'),
    ("optim_wrapper = dict(optimizer=dict(type='AdamV'))", 'Did you mean .*`Adam'),
    ('optim_wrapper = dict(paramwise_cfg=dict(custom_key={}))', 'Did you mean `custom_keys`'),
    ('default_hooks = dict(checkpoint=dict(intervall=2))', 'takes no `intervall`. Did you mean `interval`'),
    ("val_evaluator = dict(metrics='bbox')", 'takes no `metrics`. Did you mean `metric`'),
    ('train_cfg = dict(max_epoch=3)', 'takes no `max_epoch`. Did you mean `max_epochs`'),
    ('randomness = dict(sed=3)', 'randomness takes no `sed`. Did you mean `seed`'),
    ('env_cfg = dict(cudnn_bench=True)', 'Did you mean `cudnn_benchmark`'),
    ('auto_scale_lr = dict(batch_size=3)', 'auto_scale_lr takes no `batch_size`. Did you mean `base_batch_size`'),
    ("visualizer = dict(nam='x')", 'takes no `nam`'),
    ("custom_hooks = [dict(type='EMAHok')]", 'Did you mean `EMAHook`'),
    ("param_scheduler = [dict(type='CosineAnealingLR', T_max=3)]", 'Did you mean `CosineAnnealingLR`'),
]


# holds: a key left over
# holds: a key, type or option that is misspelt
@pytest.mark.parametrize(('text', 'words'), IGNORED, ids=[text for text, _ in IGNORED])
def test_what_would_be_ignored_is_refused(tmp_path, text, words):
    assert re.search(words, findings(tmp_path, text).replace('\n', ' '))


VALUES = [
    ('model = dict(num_queries=0)', 'model.num_queries: is 0; a whole number from 1 is needed'),
    ('model = dict(num_queries=2.5)', 'model.num_queries: is 2.5; a whole number'),
    ('model = dict(num_classes=0)', 'model.num_classes: is 0'),
    ('model = dict(num_classes=-3)', 'model.num_classes: is -3'),
    ("model = dict(num_classes='6')", "model.num_classes: is '6'; a string; write the number 6"),
    ('model = dict(embed_dims=-32)', 'model.embed_dims: is -32'),
    ('model = dict(num_levels=0)', 'model.num_levels: is 0'),
    ("model = dict(encoder=dict(num_layers='2'))", "model.encoder.num_layers: is '2'; a string"),
    ('model = dict(encoder=dict(num_layers=-1))', 'model.encoder.num_layers: is -1'),
    ('model = dict(encoder=dict(num_heads=0))', 'model.encoder.num_heads: is 0'),
    ('model = dict(encoder=dict(dropout=1.5))', 'model.encoder.dropout: is 1.5; a share from 0 to 1'),
    ("model = dict(groups=[dict(type='mmparts.Denoising', num=-5)])", 'model.groups[0].num: is -5; at least 1'),
    ("model = dict(groups=[dict(type='mmparts.Denoising', num=0)])", 'model.groups[0].num: is 0; at least 1'),
    ("model = dict(data_preprocessor=dict(mean=[float('nan')] * 3))", 'model.data_preprocessor.mean[0]: is NaN'),
    ('train_dataloader = dict(batch_size=0)', 'train_dataloader.batch_size: is 0'),
    ('train_dataloader = dict(num_workers=-1)', 'train_dataloader.num_workers: is -1; a whole number from 0'),
    ('train_cfg = dict(max_epochs=0)', 'train_cfg.max_epochs: is 0'),
    ('train_cfg = dict(val_interval=0)', 'train_cfg.val_interval: is 0'),
    ('optim_wrapper = dict(optimizer=dict(lr=0))', 'optim_wrapper.optimizer.lr: is 0; a number above 0'),
    ('optim_wrapper = dict(optimizer=dict(lr=-1e-4))', 'optim_wrapper.optimizer.lr: is -0.0001'),
    ("optim_wrapper = dict(optimizer=dict(lr=float('inf')))", 'optim_wrapper.optimizer.lr: is inf'),
    ('optim_wrapper = dict(optimizer=dict(weight_decay=-1))', 'weight_decay: is -1; a number from 0'),
    ('optim_wrapper = dict(clip_grad=dict(max_norm=0))', 'clip_grad.max_norm: is 0; a number above 0'),
    ('auto_scale_lr = dict(base_batch_size=0)', 'auto_scale_lr.base_batch_size: is 0'),
    ('val_evaluator = dict(max_dets=0)', 'val_evaluator.max_dets: is 0'),
]


# holds: values that mean nothing
@pytest.mark.parametrize(('text', 'words'), VALUES, ids=[text for text, _ in VALUES])
def test_values_that_mean_nothing_are_refused(tmp_path, text, words):
    assert words in findings(tmp_path, text)


OPTIONS = [
    ({'optim_wraper.optimizer.lr': 0.5}, 'nothing reads `optim_wraper`; did you mean `optim_wrapper`?'),
    ({'model.num_querys': 3}, 'Did you mean `num_queries`?'),
    ({'model.num_queries': 0}, 'model.num_queries: is 0; a whole number from 1 is needed (set by --cfg-options)'),
    ({'lr': 0.1}, 'nothing reads `lr`'),
]


# holds: a key, type or option that is misspelt
@pytest.mark.parametrize(('options', 'words'), OPTIONS, ids=[next(iter(options)) for options, _ in OPTIONS])
def test_options_that_nothing_reads(tmp_path, options, words):
    assert words in findings(tmp_path, options=options)


# holds: a key, type or option that is misspelt
def test_the_file_that_set_it_is_named(tmp_path):
    text = findings(tmp_path, middle='model = dict(num_querys=4)\nrandomness = dict(sed=3)')
    assert text.count('middle.py)') == 2
    assert set_by(str(tmp_path / 'config.py'), ('model', 'num_querys')) == str(tmp_path / 'middle.py')
    assert set_by(str(tmp_path / 'config.py'), ('no', 'such')) is None


# holds: a variable that nothing reads
def test_an_override_in_a_base_that_has_no_effect_is_found(tmp_path):
    assert 'nothing reads this variable of' in findings(tmp_path, middle='test_pipeline = []')


def test_what_is_read_is_let_through(tmp_path):
    (tmp_path / 'config.py').write_text(
        f'_base_ = {BASE!r}\n'
        "data_root = 'data/mine/'\n_steps = 3\nepochs = 2 * _steps\ntrain_cfg = dict(max_epochs=epochs)\n"
        'train_dataloader = dict(dataset=dict(data_root=data_root))\n'
    )
    (tmp_path / 'child.py').write_text("_base_ = './config.py'\nrandomness = dict(seed={{_base_.epochs}})\n")
    for name in ('config.py', 'child.py'):
        refuse(Config.fromfile(tmp_path / name))


# holds: `custom_keys` that match no parameter
@pytest.mark.parametrize(
    ('key', 'near'), [('sampling_ofsets', 'sampling_offsets'), ('bakbone', 'backbone'), ('queries.points', '')]
)
def test_custom_keys_that_match_no_parameter(key, near):
    names = ['backbone.conv1.weight', 'decoder.layers.0.cross_attn.sampling_offsets.bias', 'queries.embed.weight']
    check_keys(['backbone', 'layers.0', 'queries.'], names)
    with pytest.raises(ValueError, match=f'{key!r}, which is in the name of no parameter.*{near}'):
        check_keys([key], names)


TOOL_ERRORS = [
    (['train', 'CONFIG', '--cfg-options', 'optim_wraper.lr=1'], 1, 'did you mean `optim_wrapper`?'),
    (['test', 'CONFIG', 'x.pth', '--cfg-options', 'model.num_querys=1'], 1, 'Did you mean `num_queries`?'),
    (['predict', 'x.jpg', 'CONFIG', 'x.pth', '--score-thr', 'nan'], 2, "'nan'; a number from 0 to 1 is needed"),
    (['predict', 'x.jpg', 'CONFIG', 'x.pth', '--score-thr', '30'], 2, "'30'; a number from 0 to 1"),
    (['predict', 'x.jpg', 'CONFIG', 'x.pth', '--batch-size', '0'], 2, "'0'; a whole number from 1"),
    (['predict', 'x.jpg', 'CONFIG', 'x.pth', '--device', 'gpu'], 2, "'gpu'; write cpu, cuda"),
    (['predict', 'x.jpg', 'CONFIG', 'x.pth', '--device', 'cuda:99'], 2, "'cuda:99'; this machine has"),
    (['predict', 'x.jpg', 'CONFIG', 'x.pth', '--batch-size', 'two'], 2, "'two'; a whole number from 1"),
    (['browse_dataset', 'CONFIG', '--num', '0'], 2, "'0'; a whole number from 1"),
    (['make_shapes', '--images', '-1'], 2, "'-1'; a whole number from 1"),
    (['benchmark', 'CONFIG', '--rounds', '0'], 2, "'0'; a whole number from 1"),
    (['train', 'no_such_config.py'], 1, 'no config at no_such_config.py'),
    (['train', 'README.md'], 1, 'YAML is refused'),
    (['train', 'BROKEN'], 1, 'broken.py cannot be read: SyntaxError'),
    (['train', 'RAISES'], 1, 'raises.py cannot be read: ZeroDivisionError: division by zero ('),
]


@pytest.fixture
def tool_message(tmp_path, monkeypatch, capsys):
    def run(args):
        (tmp_path / 'broken.py').write_text('model = dict(\n')
        (tmp_path / 'raises.py').write_text('model = 1 / 0\n')
        files = dict(CONFIG=BASE, BROKEN=tmp_path / 'broken.py', RAISES=tmp_path / 'raises.py')
        args = [args[0], *(str(files.get(arg, arg)) for arg in args[1:])]
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, 'argv', args)
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(ROOT / 'tools' / f'{args[0]}.py'), run_name='__main__')
        text = stop.value.code if isinstance(stop.value.code, str) else capsys.readouterr().err
        return 1 if isinstance(stop.value.code, str) else stop.value.code, text

    return run


# holds: a config that cannot be read
@pytest.mark.parametrize(('args', 'code', 'words'), TOOL_ERRORS, ids=[' '.join(args) for args, _, _ in TOOL_ERRORS])
def test_a_tool_says_what_would_be_right_without_a_traceback(tool_message, args, code, words):
    found, text = tool_message(args)
    assert found == code and words in text and 'Traceback' not in text


def test_debug_shows_the_traceback(tmp_path):
    (tmp_path / 'raises.py').write_text('model = 1 / 0\n')
    run = [sys.executable, ROOT / 'tools' / 'train.py', tmp_path / 'raises.py', '--debug']
    found = subprocess.run(run, capture_output=True, text=True)
    assert found.returncode == 1 and 'Traceback' in found.stderr and 'division by zero' in found.stderr


def test_a_config_as_a_run_leaves_it_passes(tmp_path):
    """Resolved, it still holds the variables of its bases, which nothing reads any more."""
    path = tmp_path / 'resolved.py'
    Config.fromfile(BASE).dump(path)
    refuse(Config.fromfile(path), ())

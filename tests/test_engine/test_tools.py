"""The command line: train, resume, test and predict on a few generated images; launch scripts; error messages."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmparts.datasets import UnlabelledImages, make_shapes
from mmparts.engine import cli
from mmparts.engine.faults import slurm
from mmparts.inference.detector import Detector, find_images
from mmparts.inference.inferencer import Inferencer

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'

CONFIG = f"""
_base_ = [{
    ', '.join(
        f"'{ROOT}/configs/_base_/{name}.py'"
        for name in ('models/dino_r50', 'datasets/shapes_detection', 'schedules/schedule_12e', 'detection_runtime')
    )
}]
model = dict(
    embed_dims=32, num_queries=20, num_classes=6,
    backbone=dict(depth=18, base_channels=8, init_cfg=None, frozen_stages=-1),
    neck=dict(norm_cfg=dict(type='GN', num_groups=8)),
    encoder=dict(num_layers=1, ffn_channels=64), decoder=dict(num_layers=2, ffn_channels=64))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1)
log_level = 'ERROR'
"""


@pytest.fixture(scope='module')
def trained(tmp_path_factory, run_tool):
    """A folder with shapes/, config.py and run/epoch_1.pth, made by tools/train.py."""
    folder = tmp_path_factory.mktemp('tools')
    make_shapes(folder / 'shapes', images=4, val_images=3, size=48)
    (folder / 'config.py').write_text(CONFIG)
    assert (
        run_tool(
            'train', folder / 'config.py', '--work-dir', folder / 'run', '--cfg-options', f'data_root={folder}/shapes'
        )
        == 0
    )
    return folder


def options(folder: Path) -> list[str]:
    return ['--cfg-options', f'data_root={folder}/shapes']


def test_train_leaves_checkpoint_curves_and_pictures(trained):
    names = os.listdir(trained / 'run')
    assert {'epoch_1.pth', 'last_checkpoint', 'curves.png', 'curves.md', 'val_predictions.png'} <= set(names)
    meta = torch.load(trained / 'run' / 'epoch_1.pth', weights_only=True)['meta']
    assert meta['dataset_meta']['classes'][0] == 'circle'


def test_resume_goes_on_in_bfloat16(trained, run_tool):
    assert (
        run_tool(
            'train',
            trained / 'config.py',
            '--work-dir',
            trained / 'run',
            '--resume',
            '--resume-schedule',
            'extend',
            '--amp',
            *options(trained),
            'train_cfg.max_epochs=2',
        )
        == 0
    )
    assert torch.load(trained / 'run' / 'epoch_2.pth', weights_only=True)['meta']['epoch'] == 2


@pytest.mark.parametrize('ending', ['json', 'pkl'])
def test_test_writes_metrics_predictions_and_pictures(trained, run_tool, tmp_path, capsys, ending):
    out = tmp_path / f'out.{ending}'
    show = ['--show-dir', tmp_path / 'show'] if ending == 'json' else []
    assert (
        run_tool(
            'test',
            trained / 'config.py',
            trained / 'run' / 'epoch_1.pth',
            '--work-dir',
            tmp_path,
            '--out',
            out,
            *show,
            *options(trained),
        )
        == 0
    )
    assert '"coco/bbox_mAP":' in capsys.readouterr().out
    if ending == 'json':
        records = json.loads(out.read_text())['predictions']
        assert 0 < len(records[0]['boxes']) == len(records[0]['names'])
        assert len(os.listdir(tmp_path / 'show')) == 4  # three images and the sheet
    else:
        records = pickle.loads(out.read_bytes())
    assert len(records) == 3


def test_test_refuses_weights_of_another_model(trained, run_tool, tmp_path, capsys):
    assert (
        run_tool(
            'test',
            trained / 'config.py',
            trained / 'run' / 'epoch_1.pth',
            '--work-dir',
            tmp_path,
            *options(trained),
            'model.embed_dims=64',
        )
        == 1
    )
    assert 'other shape' in capsys.readouterr().err


@pytest.mark.parametrize('tool', ['test', 'predict'])
def test_a_model_that_is_filled_in_part_is_not_judged(trained, run_tool, tmp_path, capsys, tool):
    """All but the classes: most of the model, and no detector."""
    state = torch.load(trained / 'run' / 'epoch_1.pth', weights_only=False)
    state['state_dict'] = {name: each for name, each in state['state_dict'].items() if 'class_branches' not in name}
    torch.save(state, tmp_path / 'headless.pth')
    named = [trained / 'config.py', tmp_path / 'headless.pth', *options(trained)]
    given = (
        [*named, '--work-dir', tmp_path] if tool == 'test' else [trained / 'shapes' / 'val', *named, '--out', tmp_path]
    )
    assert run_tool(tool, *given) == 1
    assert 'class_branches' in capsys.readouterr().err


def test_predict_reports_bad_images_and_goes_on(trained, run_tool, tmp_path, capsys):
    images = tmp_path / 'images'
    shutil.copytree(trained / 'shapes' / 'val', images)
    (images / 'broken.jpg').write_text('no image')
    code = run_tool(
        'predict',
        images,
        trained / 'config.py',
        trained / 'run' / 'epoch_1.pth',
        '--out',
        tmp_path / 'out',
        '--score-thr',
        0,
        '--batch-size',
        2,
    )
    assert code == 1 and 'broken.jpg: failed' in capsys.readouterr().err

    document = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    good = [record for record in document['predictions'] if 'error' not in record]
    assert len(good) == 3 and len(document['predictions']) == 4
    assert document['classes'][:2] == ['circle', 'square']
    for record in good:
        assert 0 < len(record['boxes']) == len(record['scores']) == len(record['names'])
        assert record['scores'] == sorted(record['scores'], reverse=True)
        assert (tmp_path / 'out' / record['picture']).is_file()


@pytest.fixture(scope='module')
def panoptic(tmp_path_factory):
    """The shipped small panoptic config, and random weights for it."""
    path = 'mmparts::mask_dino/mask-dino_small_1xb8-9e_shapes-panoptic.py'
    cfg = cli.load_config(path)
    init_default_scope(cfg.default_scope)
    weights = tmp_path_factory.mktemp('panoptic') / 'weights.pth'
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), weights)
    return path, weights


def test_a_panoptic_config_predicts_pictures_that_have_no_map(trained, panoptic, run_tool, tmp_path):
    picture = next((trained / 'shapes' / 'val').iterdir())
    assert run_tool('predict', picture, *panoptic, '--out', tmp_path, '--score-thr', 0) == 0
    (record,) = json.loads((tmp_path / 'predictions.json').read_text())['predictions']
    assert len(record['boxes']) == len(record['names']) == len(record['masks']) > 0
    assert run_tool('visualize_attention', picture, *panoptic, '--out', tmp_path / 'a.png') == 0
    assert (tmp_path / 'a.png').is_file()


@pytest.mark.filterwarnings('ignore')
def test_inferencer_of_mmdet_finds_what_the_detector_finds(trained, panoptic):
    """On a shipped config, for a path and for an array."""
    config, weights = panoptic
    picture = str(next((trained / 'shapes' / 'val').iterdir()))
    (expected,) = Detector(cli.load_config(config), str(weights))([picture])
    inferencer = Inferencer(cli.find_config(config), str(weights), device='cpu', show_progress=False)
    for each in inferencer([picture, cv2.imread(picture)], return_datasamples=True)['predictions']:
        assert torch.equal(each.pred_instances.bboxes, expected.pred_instances.bboxes)
        assert torch.equal(each.pred_instances.masks, expected.pred_instances.masks)


def test_what_is_pre_trained_on_is_what_is_predicted(tmp_path):
    for suffix in ('jpg', 'JPEG', 'png', 'bmp', 'tif', 'tiff', 'webp', 'ppm', 'pgm', 'txt'):
        (tmp_path / f'a.{suffix}').touch()
    found = UnlabelledImages(data_prefix=dict(img=str(tmp_path)), pipeline=[])
    assert [found.get_data_info(i)['img_path'] for i in range(len(found))] == find_images(str(tmp_path))
    assert len(found) == 9


@pytest.mark.parametrize(
    ('tool', 'args'),
    [
        ('train', ['CONFIG', '--resume', 'no.pth']),
        ('test', ['CONFIG', 'no.pth']),
        ('predict', ['no.jpg', 'CONFIG', 'no.pth']),
        ('train', ['configs/detr/detr_r50_8xb2-150e.py']),
    ],
)
def test_missing_files_are_one_line(trained, run_tool, capsys, tool, args):
    assert run_tool(tool, *[trained / 'config.py' if arg == 'CONFIG' else arg for arg in args]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith('error: no ')


def test_a_data_root_that_moves_nothing_is_one_line(tmp_path, run_tool, capsys):
    (tmp_path / 'config.py').write_text("train_dataloader = dict(dataset=dict(data_root='a/'))")
    assert run_tool('train', tmp_path / 'config.py', '--cfg-options', 'data_root=b/') == 1
    assert capsys.readouterr().err.startswith('error: ')


def test_unknown_config_proposes_the_nearest():
    with pytest.raises(FileNotFoundError, match='detr_r50_8xb2-150e_coco.py'):
        cli.find_config(str(ROOT / 'configs' / 'detr' / 'detr_r50_8xb2-150e.py'))


@pytest.mark.parametrize('tool', ['train', 'test', 'predict'])
def test_help(run_tool, tool, capsys):
    assert run_tool(tool, '--help') == 0
    assert '--trust-checkpoint' in capsys.readouterr().out


def test_auto_scale_lr_needs_a_base_batch():
    cfg = Config(dict(auto_scale_lr=dict(enable=False, base_batch_size=16)))
    cli.set_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable
    with pytest.raises(SystemExit, match='base_batch_size'):
        cli.set_auto_scale_lr(Config(dict()))


def test_auto_resume_without_checkpoint_keeps_load_from(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='weights.pth', resume=False))
    cli.set_resume(cfg, 'auto')
    assert cfg.load_from == 'weights.pth' and not cfg.resume


def script(name: str, *args, **environment) -> str:
    """What one of the shell scripts says."""
    environment = {**os.environ, 'PYTHON': 'python', **environment}
    environment = {name: value for name, value in environment.items() if value is not None}
    result = subprocess.run([TOOLS / name, *args], env=environment, capture_output=True, text=True)
    return result.stdout if result.returncode == 0 else result.stderr


def test_dist_scripts_say_what_they_need():
    assert 'MASTER_ADDR' in script('dist_train.sh', 'c.py', '8', NNODES='2', MASTER_ADDR=None)
    assert 'usage' in script('dist_train.sh', 'c.py')
    assert 'usage' in script('dist_test.sh', 'c.py', '2')


def test_slurm_scripts_dry():
    """That Slurm takes these lines is for tests/test_slurm."""
    line = script(
        *('slurm_train.sh', '--dry-run', 'gpu', 'name', 'c.py', 'out', '--resume'),
        **dict(GPUS='16', SRUN_ARGS='--quotetype=x --signal=y'),
    )
    assert line.startswith(
        'srun --partition=gpu --job-name=name --ntasks=16 --ntasks-per-node=8 '
        '--cpus-per-task=5 --gres=gpu:8 --kill-on-bad-exit=1 --quotetype=x --signal=y python -u'
    )
    assert line.endswith('train.py c.py --work-dir out --resume --launcher slurm \n')
    line = script(
        'slurm_test.sh', '--dry-run', 'gpu', 'name', 'c.py', 'a.pth', GPUS='2', CPUS_PER_TASK='2', GPUS_PER_NODE='0'
    )
    assert '--gres' not in line and '--ntasks=2 --ntasks-per-node=2 --cpus-per-task=2' in line
    assert line.endswith('test.py c.py a.pth --launcher slurm \n')
    assert 'usage' in script('slurm_train.sh', 'gpu', 'name', 'c.py')
    assert 'usage' in script('slurm_test.sh', '--dry-run', 'gpu', 'name', 'c.py')


def test_batch_file_dry():
    options = ('--dry-run', 'gpu', 'a job', 'c.py', 'my dir', '--cfg-options', 'a="b c"')
    text = script('slurm_train.sh', *options, SBATCH='1', GPUS='2', SBATCH_ARGS='--time=9 --array=0-3')
    lines = text.splitlines()
    for line in ('--job-name="a job"', '--requeue', '--signal=USR1@120', '--open-mode=append', '--time=9'):
        assert f'#SBATCH {line}' in lines
    assert '#SBATCH --output="my dir/slurm-%A_%a.out"' in lines
    assert '--work-dir "$WORK_DIR" --resume auto' in lines[-1] and lines[-1].startswith('exec srun ')
    assert '--resume auto' not in script('slurm_train.sh', *options, '--resume', 'a.pth', SBATCH='1')
    assert '/slurm-%j.out' in script('slurm_train.sh', *options, SBATCH='1', SBATCH_ARGS='')


def test_slurm_port_comes_from_the_job(monkeypatch):
    ports = set()
    for job, step in ((1, 0), (2, 0), (1, 1)):
        monkeypatch.setenv('SLURM_JOB_ID', str(job))
        monkeypatch.setenv('SLURM_STEP_ID', str(step))
        ports.add(slurm.port())
        assert slurm.port() in ports
    assert len(ports) == 3 and all(20000 <= port < 32768 for port in ports)


def train_toy(folder: Path, command: list, sender: dict, epochs: int = 9) -> subprocess.CompletedProcess:
    """Train the toy model in a process of its own, or several, in which ``sender`` sends a signal."""
    (folder / 'config.py').write_text(f"""
_base_ = '{ROOT}/configs/_base_/default_runtime.py'
custom_imports = dict(imports=['toy'])
default_scope = 'mmengine'
default_hooks = dict(visualization=None, pictures=None, curves=None, report=None,
                     sender=dict(type='SignalHook', **{sender}))
visualizer = dict(type='Visualizer')
model = dict(type='Toy')
train_dataloader = dict(dataset=dict(type='Numbers'), batch_size=2, num_workers=2, sampler=dict(type='DefaultSampler'))
train_cfg = dict(by_epoch=True, max_epochs={epochs})
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
""")
    environment = {
        **os.environ,
        'PYTHONPATH': str(ROOT / 'tests'),
        'CUDA_VISIBLE_DEVICES': '-1',
        'PYTHON': sys.executable,
    }
    environment.pop('PORT', None)
    script, *processes = command
    command = [*script, folder / 'config.py', *processes, '--work-dir', folder / 'run']
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


# holds: a signal at start-up
@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR2'])
def test_a_signal_after_the_end_changes_nothing(tmp_path, name):
    """As Slurm's comes when a training ends just before its time: the job is done, not failed."""
    result = train_toy(tmp_path, [[sys.executable, TOOLS / 'train.py']], dict(name=name, at=-1), epochs=1)
    assert result.returncode == 0, result.stderr[-2000:]
    assert (tmp_path / 'run' / 'epoch_1.pth').exists() and not (tmp_path / 'run' / 'interrupted.pth').exists()


# holds: a signal at start-up
def test_two_processes_train_and_stop_together(tmp_path):
    """On CPUs: a signal to one of them ends both after the same step, with a checkpoint."""
    result = train_toy(tmp_path, [[TOOLS / 'dist_train.sh'], '2'], dict(name='SIGUSR1', at=2, rank=1))
    assert result.returncode == 75, result.stderr[-2000:]
    checkpoint = torch.load(tmp_path / 'run' / 'interrupted.pth', weights_only=True)
    assert checkpoint['meta']['epoch'] == 1 and checkpoint['meta']['iter'] == 3
    assert checkpoint['meta']['progress']['batch'] == 1


@pytest.fixture
def machine(monkeypatch):
    """``machine(device, gpus)``: lets the tools believe that they run on another machine."""

    def pretend(device: str, gpus: int = 0):
        monkeypatch.setattr(cli, 'get_device', lambda: device)
        monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)

    return pretend


def test_more_processes_than_gpus_are_refused(machine, monkeypatch):
    for device, gpus, processes in (('cuda', 1, 2), ('cuda', 4, 8), ('mps', 0, 2)):
        machine(device, gpus)
        monkeypatch.setenv('LOCAL_WORLD_SIZE', str(processes))
        with pytest.raises(SystemExit, match=rf'{processes} processes on a machine with {gpus or 1} GPU.* start'):
            cli.join_processes(Config(dict(launcher='pytorch')))
        cli.join_processes(Config(dict(launcher='none')))


def test_processes_join_by_device_and_one_on_a_mac_needs_no_launcher(machine, monkeypatch):
    joined = []
    monkeypatch.setattr(torch.cuda, 'set_device', joined.append)
    monkeypatch.setattr(torch.distributed, 'init_process_group', lambda backend, timeout: joined.append(backend))
    monkeypatch.setenv('LOCAL_RANK', '1')
    cases = [
        ('cuda', 2, 2, 'pytorch', [1, 'nccl']),
        ('cpu', 0, 2, 'pytorch', ['gloo']),
        ('npu', 0, 8, 'pytorch', []),
        ('mps', 0, 1, 'none', []),
    ]
    for device, gpus, processes, launcher, expected in cases:
        machine(device, gpus)
        monkeypatch.setenv('LOCAL_WORLD_SIZE', str(processes))
        cfg = Config(dict(launcher='pytorch'))
        cli.join_processes(cfg)
        assert cfg.launcher == launcher and ('model_wrapper_cfg' in cfg) is (device == 'cpu')
        assert joined == expected
        joined.clear()


def test_places_of_slurm(monkeypatch):
    """Environment of a task: two on the first two nodes, one on the third; then one GPU for each task."""
    place = dict(PROCID='4', STEP_NUM_TASKS='5', LOCALID='0', NODEID='2', STEP_TASKS_PER_NODE='2(x2),1', JOB_ID='7')
    for name, value in place.items():
        monkeypatch.setenv(f'SLURM_{name}', value)
    monkeypatch.setenv('MASTER_ADDR', 'head')
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE', 'MASTER_PORT'):
        monkeypatch.setenv(name, '')
    monkeypatch.delenv('MASTER_PORT')
    slurm.to_environment()
    assert [os.environ[name] for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE')] == [
        '4',
        '5',
        '0',
        '1',
    ]
    monkeypatch.setenv('SLURM_NODEID', '1')
    monkeypatch.setenv('SLURM_LOCALID', '1')
    assert slurm.tasks_here() == 2
    monkeypatch.setenv('SLURM_GPUS_PER_TASK', '1')
    slurm.to_environment()
    assert os.environ['LOCAL_RANK'] == '0', 'it sees its own GPU only'
    monkeypatch.delenv('SLURM_PROCID')
    with pytest.raises(SystemExit, match='srun'):
        slurm.to_environment()


@pytest.mark.parametrize(
    ('device', 'gpus', 'processes'),
    [('cpu', 0, 2), ('mps', 0, 1), ('cuda', 1, 1), ('cuda', 3, 2), ('cuda', 8, 8), ('cuda', 16, 8)],
)
def test_the_demo_shares_batches_of_eight_among_what_there_is(machine, monkeypatch, run_tool, device, gpus, processes):
    machine(device, gpus)
    commands = []
    monkeypatch.setattr('mmparts.datasets.make_shapes', lambda *args, **options: None)
    monkeypatch.setattr(
        subprocess,
        'run',
        lambda command, **options: commands.append(command) or subprocess.CompletedProcess(command, 3),
    )
    assert run_tool('demo') == 3, 'the code of the training that failed'
    (command,) = commands
    assert command[3] == str(processes) and command[-1] == f'train_dataloader.batch_size={8 // processes}'


def test_the_demo_refuses_processes_without_a_gpu_before_it_makes_data(machine, monkeypatch, run_tool, capsys):
    machine('cuda', 1)
    monkeypatch.setattr('mmparts.datasets.make_shapes', lambda *args, **options: pytest.fail('too late'))
    assert run_tool('demo', '--processes', 2) == 1
    assert 'error: 2 processes on a machine with 1 GPU,' in capsys.readouterr().err
    assert run_tool('demo', '--processes', 3) == 2


def test_tools_take_subnormal_numbers_for_zero():
    if not torch.set_flush_denormal(False):
        pytest.skip('this processor cannot')
    smallest = torch.tensor(2e-38)
    assert smallest / 4 > 0
    try:
        with warnings.catch_warnings(), pytest.raises(SystemExit):
            warnings.simplefilter('error')
            cli.run(lambda: np.finfo('float32'))  # which numpy would warn of
        assert smallest / 4 == 0
    finally:
        torch.set_flush_denormal(False)

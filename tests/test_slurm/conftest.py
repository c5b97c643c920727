"""One cluster for all tests here, a training that takes some seconds, and its step log when nobody disturbs it."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slurm_cluster import Cluster, missing
from toy import steps

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'

CONFIG = f"""
_base_ = '{ROOT}/configs/_base_/default_runtime.py'
custom_imports = dict(imports=['toy'])
default_scope = 'mmengine'
default_hooks = dict(visualization=None, pictures=None, curves=None, report=None, steps=dict(type='StepLog'),
                     ema=dict(type='EMAHook', ema_type='mmdet.ExpMomentumEMA', momentum=0.1))
visualizer = dict(type='Visualizer')
model = dict(type='Toy')
train_dataloader = dict(
    dataset=dict(type='Numbers', length=40, noise=0.1, seconds=0.2), batch_size=2, num_workers=2,
    persistent_workers=True, sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(dataset=dict(type='Numbers', length=8), batch_size=2, num_workers=1,
                      sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_cfg = dict()
test_cfg = dict()
val_evaluator = dict(type='Score')
test_evaluator = val_evaluator
train_cfg = dict(by_epoch=True, max_epochs=4)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.05))
param_scheduler = dict(type='CosineAnnealingLR', convert_to_iter_based=True, eta_min_ratio=0.1)
randomness = dict(seed=3)
"""


def environment(**values) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not re.match('SLURM|PORT$|MASTER', name)}
    paths = dict(PYTHONPATH=str(ROOT / 'tests'), PYTHON=sys.executable, CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS='1')
    return {**clean, **paths, **values}


@pytest.fixture(scope='session')
def cluster(tmp_path_factory):
    reason = missing()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp('cluster')
    for each in (folder, folder.parent, folder.parent.parent):
        each.chmod(0o755)  # munge refuses a socket that others cannot reach
    with Cluster(folder) as started:
        yield started


@pytest.fixture(scope='session')
def config(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('config') / 'config.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope='session')
def straight(cluster, config, tmp_path_factory):
    """``straight(processes)``: the work dir of a run that nobody disturbs, without Slurm."""
    runs = {}

    def run(processes: int) -> Path:
        if processes not in runs:
            folder = tmp_path_factory.mktemp(f'straight{processes}')
            command = [TOOLS / 'dist_train.sh', config, str(processes), '--work-dir', folder]
            result = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
            assert result.returncode == 0, result.stderr[-3000:]
            runs[processes] = folder
        return runs[processes]

    return run


class Jobs:
    """The scripts, with the cluster's environment."""

    def __init__(self, cluster: Cluster, config: Path, folder: Path):
        self.cluster, self.config, self.folder = cluster, config, folder
        self.work_dir = folder / 'work dir'

    def run(self, script: str, *arguments, **values) -> subprocess.CompletedProcess:
        values = dict(CPUS_PER_TASK='1', **values)
        env = environment(**{**self.cluster.environment, **values})
        command = [str(part) for part in (TOOLS / script, *arguments)]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, cwd=self.folder)

    def submit(self, *options, **values) -> str:
        """Submit a training by ``SBATCH=1 slurm_train.sh``; the number of its job."""
        result = self.run('slurm_train.sh', 'main', 'a job', self.config, self.work_dir, *options, SBATCH='1', **values)
        found = re.search(r'Submitted batch job (\d+)', result.stdout)
        assert found, result.stdout + result.stderr
        return found[1]

    def wait_for_step(self, count: int, folder: Path | None = None) -> None:
        """Until ``count`` steps are logged."""
        path = (folder or self.work_dir) / 'steps.0.jsonl'

        def done() -> bool:
            self.cluster.hurry()
            return path.exists() and path.read_text().count('\n') >= count

        self.cluster.until(done, f'no step {count}', 400)

    def log(self) -> str:
        return '\n'.join(path.read_text() for path in sorted(self.work_dir.glob('**/slurm-*.out')))

    def steps(self, folder: Path | None = None, rank: int = 0) -> list[dict]:
        return steps(folder or self.work_dir, rank)


@pytest.fixture
def jobs(cluster, config, tmp_path):
    yield Jobs(cluster, config, tmp_path)
    cluster.ask('scancel', '--user=root')
    cluster.until(lambda: not cluster.ask('squeue', '-h'), 'jobs do not end')
    time.sleep(0.2)
    shutil.rmtree(tmp_path, ignore_errors=True)

"""One cluster for all tests here, whose cases go on at the same time: most of a case is start-up and waiting.

A training that takes some seconds, and its step log when nobody disturbs it.
"""

import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from slurm_cluster import Cluster, missing
from toy import steps

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
AT_ONCE = 6  # cases; each is one or two processes, which start in some eight seconds of one core

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
def cluster():
    reason = missing()
    if reason:
        pytest.skip(reason)
    # SIGTERM would end this process without the daemons.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    # In /tmp: the path of a socket is short, and munge refuses one that others cannot reach.
    folder = Path(tempfile.mkdtemp(prefix='mmparts-slurm-', dir='/tmp'))
    folder.chmod(0o755)
    try:
        with ExitStack() as ending:
            try:
                started = ending.enter_context(Cluster(folder))
            except TimeoutError as error:  # a kernel or container in which its daemons cannot run
                pytest.skip(f'Slurm is installed, and does not start on this machine: {error}')
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope='session')
def config(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('config') / 'config.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope='session')
def straight(cluster, config, tmp_path_factory):
    """``straight(processes)``: the work dir of a run that nobody disturbs, without Slurm."""
    locks = {processes: threading.Lock() for processes in (1, 2)}
    folders = {processes: tmp_path_factory.mktemp(f'straight{processes}') for processes in locks}

    def run(processes: int) -> Path:
        folder = folders[processes]
        with locks[processes]:
            if not (folder / 'steps.0.jsonl').exists():
                command = [TOOLS / 'dist_train.sh', config, str(processes), '--work-dir', folder]
                result = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=400)
                assert result.returncode == 0, result.stderr[-3000:]
        return folder

    return run


@pytest.fixture(scope='session')
def outcomes(request, cluster, config, straight, tmp_path_factory):
    """Of each case that was asked for, by its id: what came out, or comes out."""
    folder = tmp_path_factory.mktemp('cases')
    pool = ThreadPoolExecutor(AT_ONCE)
    begun: dict[str, Future] = {}
    for number, item in enumerate(request.session.items):
        scenario = getattr(getattr(item, 'function', None), 'scenario', None)
        if scenario is not None:
            given = dict(jobs=Jobs(cluster, config, folder / str(number)), cluster=cluster, straight=straight)
            given.update(item.callspec.params if hasattr(item, 'callspec') else {})
            wanted = inspect.signature(scenario).parameters
            begun[item.nodeid] = pool.submit(scenario, **{name: given[name] for name in wanted})
    yield begun
    pool.shutdown(wait=False, cancel_futures=True)


class Jobs:
    """The scripts, with the cluster's environment."""

    def __init__(self, cluster: Cluster, config: Path, folder: Path):
        self.cluster, self.config, self.folder = cluster, config, folder
        self.work_dir = folder / 'work dir'
        folder.mkdir()

    def run(self, script: str, *arguments, **values) -> subprocess.CompletedProcess:
        values = dict(CPUS_PER_TASK='1', **values)
        env = environment(**{**self.cluster.environment, **values})
        command = [str(part) for part in (TOOLS / script, *arguments)]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, cwd=self.folder)

    def submit(self, *options, partition: str = 'main', **values) -> str:
        """Submit a training by ``SBATCH=1 slurm_train.sh``; the number of its job."""
        arguments = (partition, 'a job', self.config, self.work_dir, *options)
        result = self.run('slurm_train.sh', *arguments, SBATCH='1', **values)
        found = re.search(r'Submitted batch job (\d+)', result.stdout)
        assert found, result.stdout + result.stderr
        return found[1]

    def wait_for_step(self, count: int, folder: Path | None = None) -> None:
        """Until ``count`` steps are logged."""
        path = (folder or self.work_dir) / 'steps.0.jsonl'
        done = lambda: path.exists() and path.read_text().count('\n') >= count  # noqa: E731
        self.cluster.until(done, f'no step {count}', 400)

    def log(self) -> str:
        return '\n'.join(path.read_text() for path in sorted(self.work_dir.glob('**/slurm-*.out')))

    def steps(self, folder: Path | None = None, rank: int = 0) -> list[dict]:
        return steps(folder or self.work_dir, rank)

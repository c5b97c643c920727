"""Jobs on a real Slurm: trained, tested, signalled, preempted, queued again; the run is the same run.

All cases go on at the same time; those that take longest come first.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from slurm_cluster import case

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).resolve().parents[2]
CPU = dict(GPUS_PER_NODE='0')


# holds: time limit, preemption
@case
def test_time_limit(jobs, straight, cluster):
    """Two minutes, of which the last 40 to 70 seconds are for the signal; slow data, so that they are not enough."""
    options = ('--cfg-options', 'train_dataloader.dataset.seconds=1.2')
    job = jobs.submit(*options, GPUS='1', SIGNAL='USR2@40', SBATCH_ARGS='--time=2', **CPU)
    cluster.until(lambda: cluster.job(job)['Restarts'] == '1', 'the job is not queued again', 300)
    cluster.ask('scontrol', 'update', f'JobId={job}', 'TimeLimit=20')  # a start alone may take a minute
    state = cluster.finish(job)
    assert state['JobState'] == 'COMPLETED' and state['Restarts'] == '1', jobs.log()
    assert 'SIGUSR2' in jobs.log()
    assert jobs.steps() == jobs.steps(straight(1))


# holds: `scancel`, `scontrol requeue`
# holds: time limit, preemption
@case
def test_signals_and_requeue_by_hand(jobs, straight, cluster):
    """USR1, TERM, then `scontrol requeue`, each inside an epoch of one job; both ranks end as if nothing had been."""
    job = jobs.submit(GPUS='2', GPUS_PER_NODE='2')
    jobs.wait_for_step(3)
    cluster.signal(job, 'SIGUSR1')
    jobs.wait_for_step(14)
    assert cluster.job(job)['Restarts'] == '1', jobs.log()
    cluster.signal(job, 'SIGTERM')
    jobs.wait_for_step(26)
    assert cluster.job(job)['Restarts'] == '2', jobs.log()
    cluster.ask('scontrol', 'requeue', job)
    state = cluster.finish(job, 400)
    assert state['JobState'] == 'COMPLETED' and state['Restarts'] == '3', jobs.log()
    for rank in (0, 1):
        assert jobs.steps(rank=rank) == jobs.steps(straight(2), rank)
    assert 'restart 2 of 100 at most' in jobs.log()


# holds: disks that are not shared
@case
def test_no_shared_disk(jobs, straight, cluster):
    """The second node's work dir is a disk of its own, empty at each start: rank 0 sends it the checkpoint."""
    if subprocess.run(['unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).returncode:
        pytest.skip('no mounts of one process here')
    python = jobs.folder / 'python'
    mount = f'mount -t tmpfs none {shlex.quote(str(jobs.work_dir))} && exec "$@"'
    python.write_text(f"""#!/bin/sh
set -- {shlex.quote(sys.executable)} "$@"
if [ "$SLURMD_NODENAME" = n1 ]; then set -- unshare --mount sh -c {shlex.quote(mount)} sh "$@"; fi
exec "$@"
""")
    python.chmod(0o755)
    job = jobs.submit(GPUS='2', GPUS_PER_NODE='1', PYTHON=str(python))
    jobs.wait_for_step(13)
    cluster.signal(job, 'SIGUSR1')
    assert cluster.finish(job)['JobState'] == 'COMPLETED', jobs.log()
    assert jobs.steps() == jobs.steps(straight(2))
    assert 'is sent to the processes [1]' in jobs.log()


# holds: time limit, preemption
@case
def test_array_job(jobs, straight, cluster):
    job = jobs.submit(GPUS='1', SBATCH_ARGS='--array=0-1', **CPU)
    jobs.wait_for_step(5, jobs.work_dir / '1')
    cluster.signal(f'{job}_1', 'SIGUSR1')
    for task in (0, 1):
        state = cluster.finish(f'{job}_{task}')
        assert state['JobState'] == 'COMPLETED' and state['Restarts'] == str(task), jobs.log()
        assert jobs.steps(jobs.work_dir / str(task)) == jobs.steps(straight(1))


# holds: time limit, preemption
@case
def test_preemption_with_grace(jobs, straight, cluster):
    job = jobs.submit(partition='spare', GPUS='1', SBATCH_ARGS='--exclusive', **CPU)
    jobs.wait_for_step(5)
    urgent = ['sbatch', '--partition=urgent', '--exclusive', '--output=/dev/null', '--wrap=sleep 2']
    number = cluster.ask(*urgent).split()[-1]
    assert cluster.finish(number)['JobState'] == 'COMPLETED'
    assert len(jobs.steps()) < 80, 'the job was preempted before it ended'
    state = cluster.finish(job)
    assert state['JobState'] == 'COMPLETED' and state['Restarts'] == '1', jobs.log()
    assert jobs.steps() == jobs.steps(straight(1))


# holds: another number of processes or batch
@pytest.mark.parametrize(('before', 'after'), [(2, 1), (1, 2)])
@case
def test_another_number_of_processes(jobs, cluster, before, after):
    """It goes on by images: each is seen once an epoch, and the log says so in one line."""
    values = dict(SBATCH_ARGS='--no-requeue', **CPU)
    job = jobs.submit('--max-requeues', '0', GPUS=str(before), **values)
    jobs.wait_for_step(20 // before + 5)
    cluster.signal(job, 'SIGUSR1')
    assert cluster.finish(job)['ExitCode'] == '75:0', jobs.log()
    assert cluster.finish(jobs.submit(GPUS=str(after), **values))['JobState'] == 'COMPLETED', jobs.log()
    ranks = range(max(before, after))
    log = [step for rank in ranks for step in jobs.steps(rank=rank)]
    for epoch in range(4):
        seen = [image for step in log if step['epoch'] == epoch for image in step['images']]
        assert sorted(set(seen)) == sorted(f'images/{index}.jpg' for index in range(40))
        assert len(seen) <= 42, 'at most a step of the larger size is seen twice'
    assert f'resumed by images: {before} x 2 a step before, {after} x 2 now' in jobs.log()


@case
def test_train_and_test_through_the_scripts(jobs, straight):
    result = jobs.run('slurm_train.sh', 'main', 'job', jobs.config, jobs.work_dir, GPUS='2', GPUS_PER_NODE='2')
    assert result.returncode == 0, result.stderr[-3000:]
    for rank in (0, 1):
        assert jobs.steps(rank=rank) == jobs.steps(straight(2), rank)
    result = jobs.run('slurm_test.sh', 'main', 'job', jobs.config, jobs.work_dir / 'epoch_4.pth', GPUS='2', **CPU)
    assert result.returncode == 0 and '"toy/mAP"' in result.stdout, result.stderr[-3000:]


@case
def test_two_nodes(jobs, straight):
    values = dict(GPUS='2', GPUS_PER_NODE='1')
    result = jobs.run('slurm_train.sh', 'main', 'job', jobs.config, jobs.work_dir, **values)
    assert result.returncode == 0, result.stderr[-3000:]
    assert jobs.steps() == jobs.steps(straight(2))


@case
def test_one_gpu_for_each_task(jobs):
    """A layout in which each process sees its own GPU only."""
    values = dict(GPUS='2', TASKS_PER_NODE='2', SRUN_ARGS='--gpus-per-task=1', **CPU)
    options = ['--cfg-options', 'train_cfg.max_epochs=1', 'train_dataloader.dataset.seconds=0']
    result = jobs.run('slurm_train.sh', 'main', 'job', jobs.config, jobs.work_dir, *options, **values)
    assert result.returncode == 0, result.stderr[-3000:]


# holds: restarted too often
@case
def test_requeued_so_many_times_at_most(jobs, cluster):
    job = jobs.submit('--max-requeues', '1', GPUS='1', **CPU)
    for step in (2, 6):
        jobs.wait_for_step(step)
        cluster.signal(job, 'SIGUSR1')
    state = cluster.finish(job)
    assert state['JobState'] == 'FAILED' and state['ExitCode'] == '75:0', state
    assert 'not requeued: it was restarted 1 times, max_requeues is 1' in jobs.log()


# holds: `scancel`, `scontrol requeue`
@case
def test_a_cancelled_job_stays_cancelled(jobs, cluster):
    job = jobs.submit(GPUS='1', **CPU)
    jobs.wait_for_step(2)
    cluster.ask('scancel', job)
    cluster.until(
        lambda: 'EndTime' in cluster.job(job) and not cluster.ask('squeue', '-h', '-j', job), 'it does not end'
    )
    assert cluster.job(job)['JobState'] == 'CANCELLED' and (jobs.work_dir / 'interrupted.pth').exists(), jobs.log()
    assert 'is left to Slurm' in jobs.log()


def commands(path: Path) -> list[str]:
    """The lines of a file that call a Slurm script, without comments."""
    found = []
    for line in path.read_text().splitlines():
        line = line.lstrip('# ').split('  #')[0].strip()
        if re.match(r'([A-Z_]+=\S+ |[A-Z_]+="[^"]*" )*tools/slurm_(train|test)\.sh ', line):
            found.append(line)
    return found


DOCUMENTS = [
    ROOT / name for name in ('README.md', 'docs/guide/clusters.md', 'tools/slurm_train.sh', 'tools/slurm_test.sh')
]


@pytest.mark.parametrize(
    ('path', 'line'), [(path, line) for path in DOCUMENTS for line in commands(path)],
    ids=lambda value: getattr(value, 'name', value),
)  # fmt: skip
def test_what_is_written_is_what_slurm_takes(cluster, tmp_path, path, line):
    """Every command of the documents, with our names in place of its own: Slurm would start it on these nodes."""
    line = re.sub(r'\[--dry-run\] |\[options of \w+\.py\]', '', line)
    names = dict(PARTITION='main', JOB_NAME='job', CONFIG='config.py', WORK_DIR=str(tmp_path), CHECKPOINT='a.pth')
    for name, value in names.items():
        line = re.sub(rf'\b{name}\b', shlex.quote(value), line)
    line = line.replace('.sh ', '.sh --dry-run ', 1)
    result = subprocess.run(['bash', '-c', line], cwd=ROOT, env=cluster.environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    text = result.stdout
    if text.startswith('#!'):
        (tmp_path / 'job.sbatch').write_text(text)
        command = ['sbatch', '--test-only', str(tmp_path / 'job.sbatch')]
    else:
        command = ['srun', '--test-only', *shlex.split(text)[1:]]
    result = subprocess.run(command, env=cluster.environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr

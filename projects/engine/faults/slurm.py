"""What a process asks of Slurm: its place among the others, and that its job is queued again."""

import os
import re
import socket
import subprocess


def in_job() -> bool:
    """Whether this process belongs to a Slurm job."""
    return 'SLURM_JOB_ID' in os.environ


def to_environment() -> None:
    """Set the variables by which torch finds the other processes (RANK, WORLD_SIZE, MASTER_ADDR ...) from Slurm's."""
    environ = os.environ
    if 'SLURM_PROCID' not in environ:
        raise SystemExit('error: --launcher slurm is for processes that srun started; tools/slurm_train.sh calls it')
    environ.update(
        RANK=environ['SLURM_PROCID'],
        WORLD_SIZE=environ.get('SLURM_STEP_NUM_TASKS') or environ['SLURM_NTASKS'],
        LOCAL_RANK=environ['SLURM_LOCALID'],
        LOCAL_WORLD_SIZE=str(tasks_here()),
    )
    if 'SLURM_GPUS_PER_TASK' in environ:  # each process sees its own GPUs only, counted from 0
        environ.update(LOCAL_RANK='0', LOCAL_WORLD_SIZE='1')
    environ.setdefault('MASTER_PORT', str(port()))
    if 'MASTER_ADDR' not in environ:
        environ['MASTER_ADDR'] = first_address(environ.get('SLURM_STEP_NODELIST') or environ['SLURM_NODELIST'])


def tasks_here() -> int:
    """Processes of this step on this machine; Slurm writes them as ``2(x3),1``."""
    text = os.environ.get('SLURM_STEP_TASKS_PER_NODE') or os.environ.get('SLURM_TASKS_PER_NODE', '1')
    counts = []
    for tasks, times in re.findall(r'(\d+)(?:\(x(\d+)\))?', text):
        counts += [int(tasks)] * int(times or 1)
    return counts[int(os.environ.get('SLURM_NODEID', 0))]


def first_address(nodes: str) -> str:
    """The address of the first of ``nodes``, by its name or, where the network does not know that, as Slurm has it."""
    name = _ask('scontrol', 'show', 'hostnames', nodes).split()[0]
    try:
        socket.getaddrinfo(name, None)
        return name
    except socket.gaierror:
        found = re.search(r'NodeAddr=(\S+)', _ask('scontrol', 'show', 'node', name))
        return found[1] if found else name


def port() -> int:
    """A port that differs between jobs, and between the steps of one, and agrees between the processes of a step."""
    job, step = (int(os.environ.get(name, 0)) for name in ('SLURM_JOB_ID', 'SLURM_STEP_ID'))
    return 20000 + (job + 7919 * step) % 12000  # below 32768, where systems hand out ports of their own accord


def job_name() -> str:
    """The job as scontrol knows it; one of an array is named by array and task."""
    if 'SLURM_ARRAY_JOB_ID' in os.environ:
        return f'{os.environ["SLURM_ARRAY_JOB_ID"]}_{os.environ["SLURM_ARRAY_TASK_ID"]}'
    return os.environ['SLURM_JOB_ID']


def requeue(limit: int) -> str:
    """Put this job back into the queue unless it was ended by hand or has been restarted ``limit`` times.

    Returns:
        What was done and why, for the log.
    """
    job = job_name()
    restarts = int(os.environ.get('SLURM_RESTART_COUNT', 0))
    if restarts >= limit:
        return f'job {job} is not requeued: it was restarted {restarts} times, max_requeues is {limit}'
    try:
        text = _ask('scontrol', 'show', 'job', job)
        state, reason = (re.search(rf'{name}=(\S+)', text)[1] for name in ('JobState', 'Reason'))
        # A job that Slurm has begun to end was cancelled, or is requeued by Slurm itself; or its time is over.
        if state != 'RUNNING' and reason != 'TimeLimit':
            return f'job {job} is left to Slurm: it is {state}'
        _ask('scontrol', 'requeue', job)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, 'stderr', None) or str(error)).strip()
        return f'job {job} is not requeued, Slurm says: {reason}; only jobs of sbatch can be (SBATCH=1 slurm_train.sh)'
    return f'job {job} is requeued, restart {restarts + 1} of {limit} at most'


def _ask(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

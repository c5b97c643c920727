"""A Slurm cluster of three nodes on this machine: munged, slurmctld and three slurmd, all of its own, on loopback.

Nodes n0 and n1, partition `main`, have eight GPUs each, empty files; n2 has none. There `urgent` takes the place of
`spare`, with grace. Several threads may ask at once.
"""

import contextlib
import inspect
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ('munged', 'slurmctld', 'slurmd', 'srun', 'sbatch', 'scontrol')
NODES = ('n0', 'n1', 'n2')
FOLDERS = '/usr/sbin:/usr/local/sbin'
OWNER = 'MMPARTS_SLURM_OWNER'  # in the environment of all that a cluster starts: the process that it belongs to
ENDS = ('COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'NODE_FAIL', 'PREEMPTED')

CONFIG = """
ClusterName=mmparts
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=20
MessageTimeout=60
MinJobAge=3600
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=1,sched_interval=1,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=n0 NodeAddr=127.0.0.1 NodeHostname={host} Port={first} CPUs=64 Gres=gpu:8
NodeName=n1 NodeAddr=127.0.0.1 NodeHostname={host} Port={second} CPUs=64 Gres=gpu:8
NodeName=n2 NodeAddr=127.0.0.1 NodeHostname={host} Port={third} CPUs=64
PartitionName=main Nodes=n[0-1] Default=YES State=UP
PartitionName=spare Nodes=n2 PriorityTier=1 GraceTime=30 PreemptMode=REQUEUE State=UP
PartitionName=urgent Nodes=n2 PriorityTier=10 State=UP
"""


def missing() -> str | None:
    """Why there can be no cluster here, or None."""
    if os.geteuid() != 0:
        return 'a Slurm cluster of its own needs root'
    absent = [name for name in PROGRAMS if not find(name)]
    return f'{", ".join(absent)} not installed: `make test-slurm` does that' if absent else None


def find(name: str) -> str | None:
    return shutil.which(name, path=f'{os.environ["PATH"]}:{FOLDERS}')


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(('127.0.0.1', 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def started_by_clusters() -> Iterator[tuple[int, int]]:
    """(process, owner of its cluster) of every process that a cluster has started, the jobs' own among them."""
    mark = f'{OWNER}='.encode()
    for path in Path('/proc').glob('[0-9]*/environ'):
        with contextlib.suppress(OSError, ValueError):
            for entry in path.read_bytes().split(b'\0'):
                if entry.startswith(mark):
                    yield int(path.parent.name), int(entry.removeprefix(mark))


def end_left_over() -> None:
    """Kill what a cluster left behind whose owner was killed, or is this process: steps outlive a slurmd."""
    for process, owner in started_by_clusters():
        if owner == os.getpid() or not Path(f'/proc/{owner}').exists():
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)


class Cluster:
    """``with Cluster(folder) as cluster``: the daemons run inside, and end with it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        self.ending = threading.Event()
        port, first, second, third = free_ports(4)
        host = socket.gethostname().split('.')[0]
        (folder / 'state').mkdir()
        for number in range(8):
            (folder / f'gpu{number}').touch()
        values = dict(folder=folder, host=host, port=port, first=first, second=second, third=third)
        (folder / 'slurm.conf').write_text(CONFIG.format(**values))
        (folder / 'gres.conf').write_text(f'NodeName=n[0-1] Name=gpu File={folder}/gpu[0-7]\n')
        clean = {name: value for name, value in os.environ.items() if not name.startswith(('SLURM', 'SBATCH', 'SRUN'))}
        self.environment = {**clean, 'SLURM_CONF': str(folder / 'slurm.conf'), OWNER: str(os.getpid())}
        self.environment['PATH'] += f':{FOLDERS}'

    def __enter__(self) -> 'Cluster':
        end_left_over()
        key = self.folder / 'munge.key'
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        own = ('socket', 'pid-file', 'log-file', 'seed-file')
        paths = [f'--{name}={self.folder}/munge.{name.split("-")[0]}' for name in own]
        try:
            self.start('munged', '--foreground', '--force', f'--key-file={key}', *paths)
            self.until(lambda: (self.folder / 'munge.socket').exists(), 'munged does not start')
            self.start('slurmctld', '-D', '-c')
            for node in NODES:
                (self.folder / f'spool.{node}').mkdir()
                self.start('slurmd', '-D', '-N', node)
            idle = ('sinfo', '-h', '-N', '-t', 'idle', '-o', '%N')
            self.until(lambda: {*self.ask(*idle).split()} == {*NODES}, 'the nodes do not come up')
        except BaseException:
            self.__exit__()
            raise
        threading.Thread(target=self.hurry, daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self.cancel_all()
        self.ending.set()
        for process in reversed(self.processes):
            process.terminate()
        limit = time.monotonic() + 10
        for process in self.processes:
            try:
                process.wait(max(limit - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
        end_left_over()

    def cancel_all(self) -> None:
        self.ask('scancel', *self.ask('squeue', '-h', '-o', '%A').split())

    def start(self, program: str, *arguments: str) -> None:
        log = (self.folder / f'{program}.out').open('a')
        command = [find(program), *arguments]
        self.processes.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))

    def ask(self, *command: str) -> str:
        """The output of one of Slurm's commands; '' where it fails."""
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return result.stdout.strip() if result.returncode == 0 else ''

    def until(self, condition, otherwise: str, seconds: float = 90) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            if self.ending.wait(0.3):
                raise RuntimeError(f'{otherwise}: the cluster was ended')
            if time.monotonic() > limit:
                logs = '\n'.join(f'{log}: {log.read_text()[-1500:]}' for log in sorted(self.folder.glob('*.log')))
                raise TimeoutError(f'{otherwise}\n{self.ask("squeue", "-l")}\n{logs}')

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says."""
        return dict(re.findall(r'(\w+)=(\S*)', self.ask('scontrol', 'show', 'job', number)))

    def hurry(self) -> None:
        """Start jobs that were queued again in two seconds, instead of after the two minutes that Slurm waits.

        A job that starts within the second of its end is killed: its credential counts as the one that was revoked.
        """
        hurried = set()  # jobs and their restarts
        while not self.ending.wait(0.5):
            for line in self.ask('squeue', '-h', '-r', '-t', 'PENDING', '-o', '%i %r').splitlines():
                number, _, reason = line.partition(' ')
                start = (number, self.job(number).get('Restarts'))
                if reason == 'BeginTime' and start not in hurried:
                    self.ask('scontrol', 'update', f'JobId={number}', 'StartTime=now+2')
                    hurried.add(start)

    def finish(self, number: str, seconds: float = 400) -> dict[str, str]:
        """The job at its end."""
        self.until(lambda: self.job(number).get('JobState') in ENDS, f'job {number} does not end', seconds)
        return self.job(number)

    def signal(self, number: str, name: str) -> None:
        self.ask('scancel', f'--signal={signal.Signals[name].value}', number)


def case(scenario):
    """A test of ``scenario``, which has begun beside all other cases of the run when its turn comes.

    It is given what it names of `jobs`, `cluster`, `straight` and its parameters (tests/test_slurm/conftest.py).
    """

    def test(request, outcomes, **parameters):
        outcomes[request.node.nodeid].result()

    names = [name for name in inspect.signature(scenario).parameters if name not in ('jobs', 'cluster', 'straight')]
    keyword = inspect.Parameter.KEYWORD_ONLY
    test.__signature__ = inspect.Signature(
        [inspect.Parameter(name, keyword) for name in ('request', 'outcomes', *names)]
    )
    test.__name__, test.__doc__, test.scenario = scenario.__name__, scenario.__doc__, scenario
    return test

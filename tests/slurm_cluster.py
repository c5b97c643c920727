"""A Slurm cluster of three nodes on this machine: munged, slurmctld and three slurmd, all of its own, on loopback.

Nodes n0 and n1 have two GPUs each, empty files; n2 has none. Partition `main` is preempted by `urgent`, with grace.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ('munged', 'slurmctld', 'slurmd', 'srun', 'sbatch', 'scontrol')
NODES = ('n0', 'n1', 'n2')
FOLDERS = '/usr/sbin:/usr/local/sbin'

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
MinJobAge=3600
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=1,sched_interval=1,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=n0 NodeAddr=127.0.0.1 NodeHostname={host} Port={first} CPUs=4 Gres=gpu:2
NodeName=n1 NodeAddr=127.0.0.1 NodeHostname={host} Port={second} CPUs=4 Gres=gpu:2
NodeName=n2 NodeAddr=127.0.0.1 NodeHostname={host} Port={third} CPUs=4
PartitionName=main Nodes=n[0-2] Default=YES PriorityTier=1 GraceTime=30 PreemptMode=REQUEUE State=UP
PartitionName=urgent Nodes=n[0-2] PriorityTier=10 State=UP
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


class Cluster:
    """``with Cluster(folder) as cluster``: the daemons run inside, and end with it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        self.hurried: set[tuple[str, str | None]] = set()  # jobs and their restarts
        port, first, second, third = free_ports(4)
        host = socket.gethostname().split('.')[0]
        (folder / 'state').mkdir()
        for number in (0, 1):
            (folder / f'gpu{number}').touch()
        values = dict(folder=folder, host=host, port=port, first=first, second=second, third=third)
        (folder / 'slurm.conf').write_text(CONFIG.format(**values))
        (folder / 'gres.conf').write_text(f'NodeName=n[0-1] Name=gpu File={folder}/gpu[0-1]\n')
        self.environment = {**os.environ, 'SLURM_CONF': str(folder / 'slurm.conf')}
        self.environment['PATH'] += f':{FOLDERS}'

    def __enter__(self) -> 'Cluster':
        key = self.folder / 'munge.key'
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        own = ('socket', 'pid-file', 'log-file', 'seed-file')
        paths = [f'--{name}={self.folder}/munge.{name.split("-")[0]}' for name in own]
        self.start('munged', '--foreground', '--force', f'--key-file={key}', *paths)
        self.until(lambda: (self.folder / 'munge.socket').exists(), 'munged does not start')
        self.start('slurmctld', '-D', '-c')
        for node in NODES:
            (self.folder / f'spool.{node}').mkdir()
            self.start('slurmd', '-D', '-N', node)
        self.until(lambda: self.ask('sinfo', '-h', '-o', '%T %D') == 'idle 3', 'the nodes do not come up')
        return self

    def __exit__(self, *error) -> None:
        self.ask('scancel', '--user=root')
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self._end_left_over()

    def _end_left_over(self) -> None:
        """Kill the steps of jobs, which outlive a slurmd: processes that know this cluster's file."""
        mark = f'SLURM_CONF={self.folder}/slurm.conf'.encode()
        for path in Path('/proc').glob('[0-9]*/environ'):
            try:
                if mark in path.read_bytes().split(b'\0') and int(path.parent.name) != os.getpid():
                    os.kill(int(path.parent.name), signal.SIGKILL)
            except OSError:
                continue

    def start(self, program: str, *arguments: str) -> None:
        log = (self.folder / f'{program}.out').open('a')
        command = [find(program), *arguments]
        self.processes.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))

    def ask(self, *command: str) -> str:
        """The output of one of Slurm's commands; '' where it fails."""
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return result.stdout.strip() if result.returncode == 0 else ''

    def until(self, condition, otherwise: str, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                logs = '\n'.join(f'{log}: {log.read_text()[-1500:]}' for log in sorted(self.folder.glob('*.log')))
                raise TimeoutError(f'{otherwise}\n{self.ask("squeue", "-l")}\n{logs}')
            time.sleep(0.2)

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says."""
        return dict(re.findall(r'(\w+)=(\S*)', self.ask('scontrol', 'show', 'job', number)))

    def hurry(self) -> None:
        """Start jobs that were queued again in two seconds, instead of after the two minutes that Slurm waits.

        A job that starts within the second of its end is killed: its credential counts as the one that was revoked.
        """
        for line in self.ask('squeue', '-h', '-t', 'PENDING', '-o', '%i %r').splitlines():
            number, _, reason = line.partition(' ')
            start = (number, self.job(number).get('Restarts'))
            if reason == 'BeginTime' and start not in self.hurried:
                self.ask('scontrol', 'update', f'JobId={number}', 'StartTime=now+2')
                self.hurried.add(start)

    def finish(self, number: str, seconds: float = 200) -> dict[str, str]:
        """The job at its end."""

        def ended() -> bool:
            self.hurry()
            return self.job(number).get('JobState') in (
                'COMPLETED',
                'FAILED',
                'CANCELLED',
                'TIMEOUT',
                'NODE_FAIL',
                'PREEMPTED',
            )

        self.until(ended, f'job {number} does not end', seconds)
        return self.job(number)

    def signal(self, number: str, name: str) -> None:
        self.ask('scancel', f'--signal={signal.Signals[name].value}', number)

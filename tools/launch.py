"""Start the processes of a training on this machine: `python tools/launch.py PROCESSES TOOL ARGUMENTS`.

Like torchrun without restarts, and with what a job on a cluster needs: signals are passed on to the processes, which
save and leave by themselves, instead of ending them or the launcher; its exit code is theirs; nothing is left behind.
Standard library only, so that it is there at once. NNODES, NODE_RANK, MASTER_ADDR and PORT as in launch.sh.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
# How long the others may take when one has left with an error; those that stop together need no longer.
GRACE_SECONDS = 2.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def environment(local_rank: int, processes: int) -> dict[str, str]:
    nodes, node = (int(os.environ.get(name) or default) for name, default in (('NNODES', 1), ('NODE_RANK', 0)))
    return {
        **os.environ,
        'RANK': str(node * processes + local_rank),
        'WORLD_SIZE': str(nodes * processes),
        'LOCAL_RANK': str(local_rank),
        'LOCAL_WORLD_SIZE': str(processes),
        'MMPARTS_LAUNCHER': str(os.getpid()),
    }


def signal_all(workers: list[subprocess.Popen], number: int) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.send_signal(number)


def kill_all(workers: list[subprocess.Popen]) -> None:
    """The processes and all that they have started: each leads a session of its own."""
    for worker in workers:
        try:
            os.killpg(worker.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for worker in workers:
        worker.wait()


def wait(workers: list[subprocess.Popen]) -> int:
    """The first exit code that is not 0, as a shell would have it, or 0 when all have left with it."""
    while any(worker.poll() is None for worker in workers):
        if any(worker.poll() for worker in workers):
            break
        time.sleep(0.05)
    codes = [worker.returncode for worker in workers if worker.returncode]

    limit = time.monotonic() + GRACE_SECONDS
    while any(worker.poll() is None for worker in workers) and time.monotonic() < limit:
        time.sleep(0.05)
    if not codes:
        return 0
    return codes[0] if codes[0] > 0 else 128 - codes[0]


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Start processes of a tool on this machine, pass signals on to them and leave with their exit code.'
    )
    parser.add_argument('processes', type=int)
    parser.add_argument('tool', help='for example tools/train.py')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help='those of the tool')
    args = parser.parse_args()
    processes, command = args.processes, [sys.executable, '-u', args.tool, *args.arguments]
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ['MASTER_PORT'] = os.environ.get('PORT') or str(free_port())

    workers: list[subprocess.Popen] = []
    # Noted here, before the first process is there, and passed on when all are.
    early: list[int] = []
    for number in PASSED_ON:
        signal.signal(number, lambda number, frame: early.append(number))
    for local_rank in range(processes):
        workers.append(subprocess.Popen(command, env=environment(local_rank, processes), start_new_session=True))
    for number in PASSED_ON:
        signal.signal(number, lambda number, frame: signal_all(workers, number))
    for number in early:
        signal_all(workers, number)

    try:
        return wait(workers)
    finally:
        kill_all(workers)


if __name__ == '__main__':
    sys.exit(main())

"""Published weights: `mmparts weights list|fetch|verify`."""

import argparse
import os.path as osp
import sys

from ..options import Parser, add_debug, near


def parser() -> Parser:
    parser = Parser(
        description='Files that others publish and our configs start from or convert: list them with licence and '
        'place, fetch them (a broken transfer goes on; several addresses are tried; hashes are checked) or verify '
        'those that are there. MMPARTS_WEIGHTS names a folder to look in and to fetch to; default: data/pretrained.'
    )
    parser.add_argument('action', choices=('list', 'fetch', 'verify'))
    parser.add_argument(
        'names', nargs='*', help='files, or parts of their names; verify without one: all that are there'
    )
    parser.add_argument('--dir', help='another folder')
    parser.add_argument('--config', help='fetch: also convert the file for this config, as `mmparts convert` does')
    parser.add_argument('--seconds', type=float, default=20, help='an address that is silent for so long is left (20)')
    add_debug(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    from pathlib import Path

    from ..weights.fetch import fault_of, find
    from ..weights.index import published

    chosen = choose(args.names, published())
    there = {name: (Path(args.dir) / name if args.dir else find(name)) for name in chosen}
    there = {name: path for name, path in there.items() if path is not None and path.is_file()}
    if args.action == 'list':
        for name, entry in chosen.items():
            state = f'there: {there[name]}' if name in there else (entry.urls[0] if entry.urls else entry.note)
            size = f'{entry.mib:.0f} MiB' if entry.mib else ''
            print(f'{name:46s}{entry.licence:14s}{size:9s}{state}')
        return 0
    if args.action == 'fetch':
        return fetch_all(args, chosen)
    bad = 0
    for name, path in there.items():
        fault = fault_of(path, chosen[name])
        known = 'hash as published' if chosen[name].sha256 else 'no hash is published'
        print(f'{path}: {fault or known}')
        bad += fault is not None
    for name in [name for name in chosen if name not in there and args.names]:
        print(f'{name}: not there')
        bad += 1
    return 1 if bad else 0


def choose(names: list[str], known: dict) -> dict:
    """Entries whose name has one of the words."""
    chosen = {name: entry for name, entry in known.items() if not names or any(word in name for word in names)}
    if not chosen:
        sys.exit(f'error: no published file is called {" or ".join(names)}{near(names[0], list(known))}')
    return chosen


def fetch_all(args: argparse.Namespace, chosen: dict) -> int:
    from pathlib import Path

    from rich.progress import DownloadColumn, Progress, TimeRemainingColumn

    from ..weights.fetch import FetchFailed, fetch

    if not args.names:
        sys.exit('error: name the files to fetch; `mmparts weights list` has them')
    failed = 0
    with Progress('{task.description}', DownloadColumn(), TimeRemainingColumn(), transient=True) as progress:
        for name, entry in chosen.items():
            task = progress.add_task(name)
            try:
                path = fetch(
                    entry,
                    Path(args.dir) if args.dir else None,
                    args.seconds,
                    lambda done, whole, task=task: progress.update(task, completed=done, total=whole),
                )
            except FetchFailed as error:
                print(f'error: {error}', file=sys.stderr)
                failed += 1
                continue
            print(f'{path} ({entry.licence})')
            if args.config:
                convert(path, args.config)
    return 1 if failed else 0


def convert(path, config: str) -> None:
    """As `mmparts convert` would, beside the file."""
    from . import convert as command

    out = osp.splitext(str(path))[0] + '_mmparts.pth'
    command.main(command.parser().parse_args([str(path), out, '--config', config]))

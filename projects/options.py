"""What command lines share: a parser that names the nearest word, common options, kinds of values. Imports nothing that
takes time, so that a help text comes at once."""

import argparse
import difflib
import re
from collections.abc import Callable, Sequence

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


class Parser(argparse.ArgumentParser):
    """argparse's, which also says which word was probably meant."""

    def parse_args(self, args: Sequence[str] | None = None, namespace=None) -> argparse.Namespace:
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            known = [name for name in self._option_string_actions if name.startswith('--')]
            questions = [near(word.partition('=')[0], known) for word in rest if word.startswith('-')]
            self.error(f'unrecognized arguments: {" ".join(rest)}{"".join(questions)}')
        return parsed

    def error(self, message: str) -> None:
        choice = re.search(r'invalid choice: (\S+) \(choose from (.+)\)$', message)
        if choice:
            message += near(choice[1].strip('\'"'), [word.strip('\'" ') for word in choice[2].split(',')])
        super().error(message)


def near(word: str, known: Sequence[str]) -> str:
    """'; did you mean X?' with the nearest of the known words; empty where none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f'; did you mean {close[0]}?' if close else ''


class Settings(argparse.Action):
    """mmengine's DictAction (``KEY=VALUE`` pairs), imported when there is a pair to read."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest)(parser, namespace, values, option_string)


def parser(description: str, checkpoint: bool = False, launcher: bool = True) -> Parser:
    """An argument parser with ``config`` and the options that every tool has.

    Args:
        description: What the tool does.
        checkpoint: Whether a second argument names a checkpoint.
        launcher: Whether the tool can run on several processes.
    """
    parser = Parser(description=description)
    parser.add_argument(
        'config',
        help='path of a config, or `mmparts::folder/name.py` for one that is shipped. A config is Python code and is '
        'run: take none from a source that you do not trust',
    )
    if checkpoint:
        parser.add_argument('checkpoint', help='path of a checkpoint (.pth)')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints; default: work_dirs/NAME_OF_CONFIG')
    add_common(parser)
    if launcher:
        add_launcher(parser)
    return parser


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add what the launch scripts set."""
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='how the processes were started; the dist_* and slurm_* scripts set it',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``, ``--trust-checkpoint`` and ``--debug``."""
    add_settings(parser)
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='unpickle arbitrary objects from checkpoints: only for files whose maker you know',
    )
    add_debug(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Settings,
        metavar='KEY=VALUE',
        help='override entries of the config, e.g. train_dataloader.batch_size=4; data_root=/my/data '
        'moves every data set and evaluator of the config at once',
    )


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Add ``--debug``, which the errors of all tools look for."""
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error, not its message alone')


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``; the default is found by :func:`device_of`."""
    parser.add_argument('--device', type=device, help='cpu, cuda:0 ... (default: a GPU if there is one)')


def device_of(args: argparse.Namespace) -> str:
    """The device that was asked for, or the best of this machine."""
    if args.device:
        return args.device
    from mmengine.device import get_device

    return get_device()


def whole(least: int) -> Callable[[str], int]:
    """A type for arguments: whole numbers from ``least``."""

    def number(text: str) -> int:
        if not text.lstrip('-').isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f'{text!r}; a whole number from {least} is needed')
        return int(text)

    return number


def share(text: str) -> float:
    """A type for arguments: numbers from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = float('nan')
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{text!r}; a number from 0 to 1 is needed')
    return value


def device(text: str) -> str:
    """A type for arguments: a device that this machine has."""
    if text == 'cpu':
        return text
    import torch

    try:
        wanted = torch.device(text)
    except RuntimeError:
        raise argparse.ArgumentTypeError(f'{text!r}; write cpu, cuda, cuda:0 ... or mps') from None
    if wanted.type == 'cuda':
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (wanted.index or 0) >= count:
            has = f'has {count} GPUs, from cuda:0' if count else 'has no GPU that torch can use; write cpu'
            raise argparse.ArgumentTypeError(f'{text!r}; this machine {has}')
    if wanted.type == 'mps' and not torch.backends.mps.is_available():
        raise argparse.ArgumentTypeError(f'{text!r}; this machine has none; write cpu')
    return text

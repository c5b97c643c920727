"""The command line, `mmparts WORD ...`: a file a word, each with a parser that is made at once and a `main` that may
take its time to import. The files in tools/ are the same commands under the names that OpenMMLab gave them.

A file here has `parser() -> argparse.ArgumentParser` and `main(args) -> int | None`; `ERRORS` (optional) are errors
whose words are all there is to say, `STOPS` (optional) says that signals are answered, not died of, `LIGHT` (optional)
that it only reads text, and so starts without torch.
"""

import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from ..options import near
from ..version import __version__


@dataclass(frozen=True)
class Command:
    """A word of the command line: the module that does it, and what a list says of it."""

    module: str
    what: str


COMMANDS = {
    'train': Command('.train', 'train a model'),
    'test': Command('.test', 'evaluate a checkpoint'),
    'predict': Command('.predict', 'pictures and JSON for an image, a folder, a volume'),
    'search': Command('.search', 'a page of the images nearest to a text or an image'),
    'capfilt': Command('.capfilt', 'better texts of images: written by a captioner, filtered by their match'),
    'attention': Command('.attention', 'draw where the decoder looks'),
    'convert': Command('.convert', 'published checkpoints to ours'),
    'data convert': Command('.data_convert', 'VOC, YOLO, LabelMe, CSV to COCO, with a split and a config'),
    'data check': Command('.data_check', 'hold the data of a config against its model'),
    'data browse': Command('.data_browse', 'draw what a config trains on'),
    'data regions': Command('.data_regions', 'regions that a detector finds in images, as files for VisualBERT'),
    'report': Command('.report', 'one page of what a run found'),
    'weights': Command('.weights', 'list, fetch and verify published weights'),
    'doctor': Command('.doctor', 'does this machine fit, and would a config run'),
    'export': Command('.export', 'a trained model as ONNX, or for torch.export'),
    'gather': Command('.gather', 'a checkpoint in shards as one file'),
    'publish': Command('.publish', 'a slim checkpoint to give away'),
    'print_config': Command('.print_config', 'a config as a run reads it, and who says what'),
    'configs': Command('.configs', 'list and search the configs that are shipped'),
    'run': Command('.run', 'tools of mmdet, mmseg and others on our configs'),
}


def main() -> None:
    """`mmparts WORD ...`."""
    words = sys.argv[1:]
    if not words or words[0] in ('-h', '--help'):
        print(usage())
        sys.exit(0 if words else 2)
    if words[0] == '--version':
        print(f'mmparts {__version__}')
        sys.exit(0)
    name, rest = find(words)
    start(name, rest)


def find(words: list[str]) -> tuple[str, list[str]]:
    """The command that the first words name, and its arguments; exits where there is none, with the nearest one."""
    for count in (2, 1):
        if ' '.join(words[:count]) in COMMANDS:
            return ' '.join(words[:count]), words[count:]
    first = sorted({name.split()[0] for name in COMMANDS})
    group = [name for name in COMMANDS if name.startswith(f'{words[0]} ')]
    if group and (len(words) == 1 or words[1] in ('-h', '--help')):
        print(usage(group))
        sys.exit(0 if len(words) > 1 else 2)
    if group:
        known, word = [name.split()[1] for name in group], words[1]
        print(f'mmparts {words[0]}: {word!r} is none of {", ".join(known)}{near(word, known)}', file=sys.stderr)
    else:
        print(f'mmparts: {words[0]!r} is no command{near(words[0], [*first, "--help", "--version"])}', file=sys.stderr)
        print(f'There are: {", ".join(first)}', file=sys.stderr)
    sys.exit(2)


def start(name: str, words: list[str] | None = None) -> None:
    """Do a command and exit.

    Args:
        words: Its arguments; None: those of the process, for a tool that is this command.
    """
    if words is not None:
        sys.argv = [f'mmparts {name}', *words]
    command = import_module(COMMANDS[name].module, __package__)
    args = command.parser().parse_args()
    if getattr(command, 'LIGHT', False):
        sys.exit(command.main(args))
    if getattr(command, 'STOPS', False):
        # A signal that comes during the imports, which take seconds, waits until it can be answered.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2))

    from ..engine import cli

    def run() -> int | None:
        code = command.main(args)
        return code if isinstance(code, int) else None

    cli.run(run, *getattr(command, 'ERRORS', ()))


def usage(names: Iterable[str] = tuple(COMMANDS)) -> str:
    """What `mmparts --help` shows."""
    lines = [f'  {name:14s}{COMMANDS[name].what}' for name in names]
    return '\n'.join(
        [
            'usage: mmparts COMMAND ...',
            '',
            'Vision-transformer parts on the OpenMMLab registry: trains, evaluates and uses models.',
            '',
            'commands:',
            *lines,
            '',
            '`mmparts COMMAND --help` says more; `mmparts --version` the version.',
        ]
    )

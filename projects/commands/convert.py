"""Convert an official checkpoint: `mmparts convert IN OUT --config CONFIG`."""

import argparse
import os
from collections import Counter

from ..options import Parser, add_common


def parser() -> Parser:
    parser = Parser(
        description='Turn an official checkpoint into one for a config of mmparts. Every tensor must be accounted for: '
        'unexpected, missing and mis-shaped ones are listed and refused.'
    )
    parser.add_argument('source', metavar='IN', help='official file: .pth, .pt, .safetensors, .npz or TorchScript')
    parser.add_argument('out', metavar='OUT', help='file to write')
    parser.add_argument(
        '--config', required=True, help='config whose model is filled; a backbone layout fills its backbone'
    )
    parser.add_argument('--layout', help='name of the layout; default: recognised by the names in the file')
    parser.add_argument('--key', help='which of several weights in one file to take, e.g. model_ema or teacher')
    parser.add_argument('--target', help='submodule to fill, e.g. backbone; default: what the layout describes')
    parser.add_argument(
        '--skip',
        nargs='+',
        default=[],
        metavar='REGEX',
        help='names in our model that stay as initialised, e.g. a head for other classes',
    )
    parser.add_argument(
        '--classes',
        choices=['coco'],
        help='pick the 80 classes of COCO from official heads that have a row for each category id',
    )
    parser.add_argument(
        '--other',
        nargs='+',
        default=[],
        metavar='OPTION',
        help="options of the official training, kept in the file, that may differ from the config's, e.g. dilation",
    )
    parser.add_argument('--verbose', action='store_true', help='list every tensor of a refusal')
    parser.add_argument('--dry-run', action='store_true', help='report, do not write')
    add_common(parser)
    return parser


def report(made):
    """A table of a `weights.convert.Account`, one row per outcome."""
    from rich.table import Table

    table = Table(
        'outcome', 'tensors', 'numbers', 'why', title=f'layout {made.layout}, target {made.target or "the whole model"}'
    )
    table.add_row('mapped', f'{len(made.state)}', f'{made.num_elements:,}', '')
    copies = {name: 'copies of others' for name, reason in made.dropped.items() if reason.startswith('copy of ')}
    for reason, count in Counter((made.dropped | copies).values()).most_common():
        table.add_row('dropped', f'{count}', '', reason)
    for reason, count in Counter(made.initialised.values()).most_common():
        table.add_row('as initialised', f'{count}', '', reason)
    return table


def next_step(made, args: argparse.Namespace) -> str:
    """The command that uses the new file: a part is where training starts from, a whole model can be evaluated."""
    options = {**(args.cfg_options or {}), **dict(option.split('=') for option in made.advice)}
    tool = f'mmparts test {args.config} {args.out}'
    if made.target:
        init = f'model.{made.target}.init_cfg'
        options |= {f'{init}.type': 'Pretrained', f'{init}.checkpoint': args.out, f'{init}.prefix': f"'{made.target}.'"}
        tool = f'mmparts train {args.config}'
    return ' '.join([tool, *['--cfg-options'] * bool(options), *(f'{key}={value}' for key, value in options.items())])


def main(args: argparse.Namespace) -> None:
    from mmengine.registry import init_default_scope
    from rich.console import Console

    from ..analysis.fitting_config import fitting
    from ..engine import cli
    from ..engine.initialisation.convert import save_weights
    from ..registry import MODELS
    from ..weights.containers import unwrap
    from ..weights.convert import account
    from ..weights.readers import read_file
    from ..weights.torch_file import TRUST_VARIABLE

    if args.trust_checkpoint:
        os.environ[TRUST_VARIABLE] = '1'
    cli.refuse_outputs({'OUT': args.out}, {'checkpoint to convert': args.source, 'config': args.config})
    cfg = cli.load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    model = MODELS.build(cfg.model)

    official = unwrap(read_file(cli.require_file(args.source, 'checkpoint')), args.key)
    made = account(official, model, args.layout, args.target, args.skip, args.classes, args.other)
    if made.problems:
        made.check(args.config, fitting(official, args.layout, args.classes, args.skip), args.verbose)
    Console().print(report(made))
    for line in made.said:
        print(line)
    for option, why in made.advice.items():
        print(f'For what the official code computes, use the file with {option}: {why}.')
    if args.dry_run:
        print('Nothing was written (--dry-run).')
        return
    save_weights(made, args.source, args.out)
    print(f'Wrote {args.out}. Next: {next_step(made, args)}')

"""Draw what a config trains on: samples after the pipeline with their annotations, and a summary. Needs no display."""

import argparse

from mmengine.config import DictAction
from mmengine.registry import init_default_scope
from rich.console import Console

import mmparts  # noqa: F401  registers the parts
from mmparts.analysis.browse import build_dataset, draw_samples, summary, task_of_data
from mmparts.engine import cli


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        'config',
        help='a config with dataloaders, or `mmparts::folder/name.py`; one of _base_/datasets will do. It is Python '
        'code and is run',
    )
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train', help='which dataloader')
    parser.add_argument('--out', default='work_dirs/browse', help='folder for the pictures')
    parser.add_argument('--num', type=cli.whole(1), default=12, help='pictures to draw')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes to the config; data_root=FOLDER moves every data set',
    )
    args = parser.parse_args()

    cfg = cli.load_config(args.config, args.cfg_options)
    cli.refuse_outputs({'--out': args.out}, {'config': args.config}, cfg)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    dataset = build_dataset(cfg, args.split)
    task = task_of_data(cfg, dataset)
    paths = draw_samples(dataset, args.out, args.num, task)
    console = Console()
    for table in summary(dataset, task):
        console.print(table)
    print(f'{len(paths)} pictures in {args.out}; begin with {paths[-1]}')


if __name__ == '__main__':
    cli.run(main, ValueError)

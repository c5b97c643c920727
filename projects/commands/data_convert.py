"""Annotations of other tools to COCO, with a split and a config: `mmparts data convert FOLDER`."""

import argparse
import os
import os.path as osp

from ..options import Parser, add_debug, share

ERRORS = (ValueError,)
FORMATS = ('voc', 'yolo', 'labelme', 'csv', 'coco')


def parser() -> Parser:
    parser = Parser(
        description='Turn annotations of Pascal VOC, YOLO, LabelMe, a CSV table or COCO into COCO files with a split, '
        'and write a config to train with. Says what was dropped and why.'
    )
    parser.add_argument('folder', help='a folder with annotations; images lie there or beside it')
    add_arguments(parser)
    parser.add_argument('--out', metavar='DIR', help='where to write (default: data/NAME_OF_FOLDER)')
    add_debug(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `mmparts train FOLDER` takes, too."""
    parser.add_argument('--format', choices=FORMATS, help='of the annotations (default: by looking)')
    parser.add_argument('--images', metavar='DIR', help='where the images are (default: in the folder or beside it)')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='names in their order, or a file with one a line; others are dropped',
    )
    parser.add_argument(
        '--val',
        type=share,
        metavar='SHARE',
        help='share of the images that validate, each class in its share (default: the split that folders called train '
        'and val make, or 0.2)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of the split (default 0)')
    parser.add_argument(
        '--group',
        metavar='REGEX',
        help="part of an image's name that says what may not be split, as a patient: 'p\\d+'",
    )
    parser.add_argument('--background', action='store_true', help='take images without annotations as empty ones')
    parser.add_argument('--copy', action='store_true', help='copy the images, so that the result can be moved')


def main(args: argparse.Namespace) -> None:
    out = args.out or osp.join('data', osp.basename(osp.abspath(args.folder)))
    config = convert_folder(args, out)
    print(f'Next: mmparts data check {config}, then mmparts train {config}')


def convert_folder(args: argparse.Namespace, out: str, epochs: int | None = None) -> str:
    """Convert, say what came of it and write the config; returns its path."""
    from rich.console import Console

    from ..analysis.small_first import Measured, config_text, plan
    from ..datasets.convert import convert
    from ..engine import cli

    cli.refuse_outputs({'--out': out}, {'folder of annotations': args.folder, 'folder of images': args.images})
    classes = args.classes
    if classes and len(classes) == 1 and osp.isfile(classes[0]):
        with open(classes[0], encoding='utf-8') as file:
            classes = [line.strip() for line in file if line.strip()]
    made = convert(
        args.folder, out, args.format, args.images, classes, args.val, args.seed, args.group, args.background, args.copy
    )
    console = Console()
    for table in tables(made):
        console.print(table)
    for line in made.notes:
        print(f'note: {line}')

    data = Measured.of(made.files['train'])
    chosen = plan(data, epochs)
    name = osp.basename(osp.abspath(out))
    root = osp.abspath(out) + os.sep
    images = 'images/' if args.copy else f'{made.root}{os.sep}'
    files = {part: osp.relpath(path, out) for part, path in made.files.items()}
    config = osp.join(out, f'dino_small_{name}.py'.replace(' ', '_'))  # train_data.MADE finds it
    with open(config, 'w', encoding='utf-8') as file:
        file.write(config_text(name, chosen, data, root, images, files))
    for line in chosen.why:
        print(f'config: {line}')
    print(f'Wrote {config} and {", ".join(map(str, made.files.values()))}')
    return config


def tables(made) -> list:
    """Counts of images and objects, and what was dropped."""
    from collections import Counter

    from rich.table import Table

    counts = {
        part: Counter(each.name for image in images for each in image.objects) for part, images in made.images.items()
    }
    table = Table('class', *counts, title=f'{made.form}: objects', title_justify='left')
    for name in made.classes:
        table.add_row(name, *(str(count[name]) for count in counts.values()))
    table.add_row('all', *(str(sum(count.values())) for count in counts.values()), style='bold')
    table.add_row('images', *(str(len(images)) for images in made.images.values()))
    empty = [sum(not image.objects for image in images) for images in made.images.values()]
    table.add_row('of them empty', *map(str, empty))
    if not made.dropped:
        return [table]
    dropped = Table('dropped', 'number', 'first ones', title_justify='left')
    for reason, names in sorted(made.dropped.items(), key=lambda item: -len(item[1])):
        dropped.add_row(reason, str(len(names)), ', '.join(dict.fromkeys(names[:3])))
    return [table, dropped]

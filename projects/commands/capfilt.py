"""Texts of a folder of images, written and filtered: `mmparts capfilt CONFIG CHECKPOINT FOLDER ... --out DIR`."""

import argparse
import os

from ..options import Parser, add_common, add_device, device_of

ERRORS = (ValueError, FileNotFoundError)


def parser() -> Parser:
    parser = Parser(
        description='CapFilt (BLIP): a captioner writes a text of each image, a filter drops texts, old and new, that '
        'do not belong to their image. Writes captions.jsonl, which mmparts.ImageTextFolder reads, statistics.json '
        'and records.jsonl, with which a call that was stopped goes on. Exit code 1 if an image could not be read.'
    )
    parser.add_argument('config', help='of the captioner; it is Python code and is run')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('folder', help='the images')
    parser.add_argument('--texts', metavar='FILE', help='.jsonl, .csv or .tsv; default: a .txt beside each image')
    parser.add_argument('--filter-config', metavar='FILE', help='of a model that matches; default: config')
    parser.add_argument('--filter-checkpoint', metavar='FILE', required=True, help='weights of the filter')
    parser.add_argument('--threshold', type=float, default=0.5, help='least probability of a text that is kept (0.5)')
    parser.add_argument('--out', metavar='DIR', required=True, help='where the files go')
    add_device(parser)
    add_common(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    from mmengine.config import Config

    from ..engine import cli
    from ..inference.capfilt import Filter, Tally, filtered, write
    from ..inference.detector import Detector
    from ..inference.search import images_in
    from .search import name_of

    cfg = cli.prepare(args)
    inputs = {'config': args.config, 'checkpoint': args.checkpoint, 'folder': args.folder, 'texts': args.texts}
    cli.refuse_outputs({'--out': args.out}, inputs, cfg)
    cli.require_whole_model()
    other = Config.fromfile(args.filter_config) if args.filter_config else cfg
    weights = [cli.require_file(path, 'checkpoint') for path in (args.checkpoint, args.filter_checkpoint)]
    captioner = Detector(cfg, weights[0], device_of(args))
    judge = Filter(other, weights[1], device_of(args))

    texts, total = texts_of(args.folder, args.texts), len(images_in(args.folder))
    head = dict(captioner=name_of(weights[0], cfg)[:64], filter=name_of(weights[1], other)[:64], texts=args.texts)
    tally, kept, failed = Tally(), [], 0
    for number, record in enumerate(filtered(captioner, judge, args.folder, texts, args.out, head), start=1):
        if 'failed' in record:
            failed += 1
            print(f'{record["image"]}: failed, {record["failed"]}')
            continue
        kept.append((record['image'], tally.add(record, args.threshold)))
        if number % max(1, total // 20) == 0:
            print(f'{number} of {total}; {tally}', flush=True)
    target = write(args.out, kept, tally, args.threshold)
    print(f'{tally}: {target}')
    return 1 if failed else 0


def texts_of(folder: str, file: str | None) -> dict[str, list[str]]:
    """Name of an image below a folder -> its texts."""
    from ..datasets.captions import ImageTextFolder

    pairs = ImageTextFolder(ann_file=file or '', data_prefix=dict(img=folder), on_empty='skip')
    items = map(pairs.get_data_info, range(len(pairs)))
    return {os.path.relpath(item['img_path'], folder): item['texts'] for item in items}
